# What every target of this project is made with.
include(CheckLinkerFlag)
include(PolluxPkgConfig)

# The compiler settings that the project's own code is built with; nothing of it is exported.
function(pollux_target_defaults target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  if(POLLUX_DEVELOPER)
    target_compile_options(${target} PRIVATE
      -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
      -Woverloaded-virtual -Wcast-align -Wold-style-cast -Werror)
  endif()
  if(POLLUX_SANITIZE)
    # Not vptr: it opens a pipe to look through, and some tests leave no descriptor for it.
    target_compile_options(${target} PRIVATE -fsanitize=${POLLUX_SANITIZE} -fno-sanitize=vptr
                                             -fno-sanitize-recover=all -fno-omit-frame-pointer)
    if(POLLUX_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(${target} PRIVATE -Wno-tsan)  # fences go unseen, and Asio has some
    endif()
    target_link_options(${target} PUBLIC -fsanitize=${POLLUX_SANITIZE})
  endif()
endfunction()

# pollux_backend(<name> AVAILABLE <condition...> SOURCES <file...> [PKG_CONFIG <module...>])
# Called by backends/<name>/CMakeLists.txt: makes the option POLLUX_BACKEND_<NAME>, and compiles the
# backend into the library where it is available. The maker it brings is make_<name>_backend(). What it
# links are pollux::<module>, of pollux_pkg_config(); whoever links a static pollux links them too.
function(pollux_backend name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "AVAILABLE;SOURCES;PKG_CONFIG")
  string(TOUPPER ${name} upper)
  option(POLLUX_BACKEND_${upper} "Build the ${name} backend where it is available" ON)
  if(POLLUX_BACKEND_${upper} AND (${arg_AVAILABLE}))
    list(TRANSFORM arg_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    target_sources(pollux PRIVATE ${arg_SOURCES})
    foreach(module IN LISTS arg_PKG_CONFIG)
      target_link_libraries(pollux PRIVATE pollux::${module})
      set_property(GLOBAL APPEND PROPERTY POLLUX_PKG_CONFIG_MODULES ${module})
    endforeach()
    set_property(GLOBAL APPEND PROPERTY POLLUX_BUILT_BACKENDS ${name})
  elseif(name IN_LIST POLLUX_REQUIRE_BACKENDS)
    message(FATAL_ERROR "The ${name} backend is required, but it is off or not available here.")
  else()
    message(STATUS "pollux: without ${name}: it is off, or not available here")
  endif()
endfunction()

# Writes the table behind pollux/backends.hpp from what pollux_backend() has gathered.
function(pollux_generate_backend_table)
  get_property(built GLOBAL PROPERTY POLLUX_BUILT_BACKENDS)
  if(NOT built)
    message(FATAL_ERROR "No backend is left: at least one of ${POLLUX_BACKENDS} has to be on.")
  endif()
  set(declarations "")
  set(rows "")
  foreach(name IN LISTS built)
    string(APPEND declarations
           "std::unique_ptr<Backend> make_${name}_backend(std::error_code& error);\n")
    string(APPEND rows "    {\"${name}\", &make_${name}_backend},\n")
  endforeach()
  configure_file(${PROJECT_SOURCE_DIR}/src/api/backend_table.cpp.in
                 ${PROJECT_BINARY_DIR}/src/backend_table.cpp @ONLY)
  target_sources(pollux PRIVATE ${PROJECT_BINARY_DIR}/src/backend_table.cpp)
  set(POLLUX_BUILT_BACKENDS ${built} PARENT_SCOPE)
  message(STATUS "pollux ${PROJECT_VERSION}: backends ${built}")
endfunction()

# pollux_backend_test(<name> <backend> [PROPERTIES <property> <value>...] COMMAND <command...>)
# The command as a test of ctest on one backend, which $POLLUX_BACKEND names. Where that cannot be used
# the test is left out, and says so; unless the backend is required (tests/support/on_backend.cpp).
function(pollux_backend_test name backend)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "PROPERTIES;COMMAND")
  add_test(NAME ${name} COMMAND pollux_on_backend ${backend} ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 ${arg_PROPERTIES})
endfunction()

# pollux_program(<variable> <target>): how a script starts this program here. That is the program; or, where
# it is built for another processor, a launcher that has the emulator run it.
function(pollux_program variable target)
  set(program $<TARGET_FILE:${target}>)
  if(CMAKE_CROSSCOMPILING_EMULATOR)
    list(JOIN CMAKE_CROSSCOMPILING_EMULATOR " " emulator)
    set(launcher ${PROJECT_BINARY_DIR}/launchers/${target})
    get_property(made GLOBAL PROPERTY POLLUX_LAUNCHERS)
    if(NOT launcher IN_LIST made)
      file(GENERATE OUTPUT ${launcher} CONTENT "#!/bin/sh\nexec ${emulator} \"${program}\" \"$@\"\n"
           FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
      set_property(GLOBAL APPEND PROPERTY POLLUX_LAUNCHERS ${launcher})
    endif()
    set(program ${launcher})
  endif()
  set(${variable} ${program} PARENT_SCOPE)
endfunction()

# Keeps what a shared library instantiates of others' templates inside, where the linker can be told.
function(pollux_limit_exports)
  set(map ${PROJECT_SOURCE_DIR}/cmake/pollux.map)
  check_linker_flag(CXX LINKER:--version-script=${map} POLLUX_HAVE_VERSION_SCRIPT)
  if(POLLUX_HAVE_VERSION_SCRIPT)
    target_link_options(pollux PRIVATE LINKER:--version-script=${map})
    set_property(TARGET pollux APPEND PROPERTY LINK_DEPENDS ${map})
  endif()
endfunction()
