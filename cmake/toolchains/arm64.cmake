# Linux on 64-bit Arm, by Debian's cross compiler; programs run under qemu-user (qemu-linux.cmake).
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(pollux_triplet aarch64-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/qemu-linux.cmake)
