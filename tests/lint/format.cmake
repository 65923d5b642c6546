# Whether clang-format would change anything.
cmake_minimum_required(VERSION 3.24)

set(sources "")
foreach(room include src backends conformance tests tools bench examples)
  file(GLOB_RECURSE found ${ROOT}/${room}/*.hpp ${ROOT}/${room}/*.cpp)
  list(APPEND sources ${found})
endforeach()
execute_process(COMMAND ${CLANG_FORMAT} --dry-run --Werror ${sources} COMMAND_ERROR_IS_FATAL ANY)
