# What arm64.cmake and s390x.cmake have in common: Linux on another processor, which qemu-user stands for.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${pollux_triplet}-gcc)
set(CMAKE_CXX_COMPILER ${pollux_triplet}-g++)

# Libraries are that system's. Headers and packages that are alike on each (Asio, CLI11, nlohmann-json) lie in
# /usr, where these compilers look after their own directories.
set(CMAKE_FIND_ROOT_PATH /usr/${pollux_triplet})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)

# A static program needs no loader and no libraries of that system at the paths that are written into it.
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)

# The variable has the tests accept what qemu does not have (conformance/support/emulator.hpp).
set(CMAKE_CROSSCOMPILING_EMULATOR env POLLUX_EMULATOR=qemu qemu-${CMAKE_SYSTEM_PROCESSOR}-static)
