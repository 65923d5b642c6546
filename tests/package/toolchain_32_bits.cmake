# Another system that programs can be run on here: this one's, with pointers of 32 bits. What is here for
# 64 is not for it, and must not be taken (PolluxPkgConfig.cmake).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR i686)
set(CMAKE_CXX_FLAGS_INIT -m32)
