# Compiles and runs the consumer's program with nothing but a compiler and pkg-config.
cmake_minimum_required(VERSION 3.24)

file(GLOB_RECURSE pc ${PREFIX}/pollux.pc)
cmake_path(GET pc PARENT_PATH pc_dir)
cmake_path(GET pc_dir PARENT_PATH lib_dir)
set(ENV{PKG_CONFIG_PATH} ${pc_dir})

execute_process(COMMAND ${PKG_CONFIG} --modversion pollux OUTPUT_VARIABLE version
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
if(NOT version STREQUAL VERSION)
  message(FATAL_ERROR "pkg-config says ${version} where ${VERSION} was installed.")
endif()
if(KIND STREQUAL "shared")
  set(ENV{LD_LIBRARY_PATH} ${lib_dir})
endif()

# build(<what the compiler is told besides> <what pkg-config is told besides>)
function(build how asked)
  execute_process(COMMAND ${PKG_CONFIG} ${asked} --cflags --libs pollux OUTPUT_VARIABLE flags
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  execute_process(COMMAND ${CXX} -std=c++20 ${how} ${PROGRAM} ${flags} -o ${OUTPUT}
                  COMMAND_ERROR_IS_FATAL ANY COMMAND_ECHO STDOUT)
  execute_process(COMMAND ${OUTPUT} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# That what was installed is a static library, nobody needs to know who asks.
build("" "")
if(KIND STREQUAL "static")
  build("" --static)
  if(STATIC_PROGRAMS)
    build(-static --static)
  endif()
endif()
