# Linux with pointers of 32 bits, by the compiler of a 64-bit PC, whose kernel runs the programs. What is here
# for 64 bits is not for it, and must not be taken (PolluxPkgConfig.cmake).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR i686)

# The kernel's headers serve both. Debian's compiler finds them for 32 bits only with a link that g++-multilib
# makes, which cannot be installed beside a compiler for another processor (scripts/install-packages).
set(CMAKE_C_FLAGS_INIT "-m32 -idirafter /usr/include/x86_64-linux-gnu")
set(CMAKE_CXX_FLAGS_INIT ${CMAKE_C_FLAGS_INIT})
