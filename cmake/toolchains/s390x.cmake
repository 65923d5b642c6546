# Linux on IBM Z, which is big-endian, by Debian's cross compiler; programs run under qemu-user
# (qemu-linux.cmake).
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(pollux_triplet s390x-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/qemu-linux.cmake)
