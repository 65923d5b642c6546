# Linux with musl in place of glibc, and LLVM's C++ library: static programs, by clang. scripts/test-musl makes the
# folder of headers and libraries.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_C_COMPILER_TARGET x86_64-linux-musl)
set(CMAKE_CXX_COMPILER_TARGET x86_64-linux-musl)
file(REAL_PATH ${CMAKE_CURRENT_LIST_DIR}/../../build/musl/sysroot CMAKE_SYSROOT)

# The headers by hand: else clang takes those of a libc++ that is installed beside it. In LLVM 19 std::jthread
# is behind the flag.
set(CMAKE_CXX_FLAGS_INIT
    "-nostdinc++ -isystem ${CMAKE_SYSROOT}/usr/include/c++/v1 -fexperimental-library")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static -stdlib=libc++ -rtlib=compiler-rt -unwindlib=libunwind")

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
