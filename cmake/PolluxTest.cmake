find_package(GTest REQUIRED)
include(GoogleTest)

# pollux_test(<name> SOURCES <file...> [LIBRARIES <target...>] [LABEL <label>] [TIMEOUT <seconds>]
#             [ARGUMENTS <argument...>])
# One GoogleTest program, each of its tests a test of ctest by its own name, with the row it is run on at
# the end (`/poll`, `/epoll_tcp4`).
function(pollux_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LABEL;TIMEOUT" "SOURCES;LIBRARIES;ARGUMENTS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 30)
  endif()
  add_executable(${name} ${arg_SOURCES})
  pollux_target_defaults(${name})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} pollux_support GTest::gtest_main)
  gtest_discover_tests(${name} NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60 EXTRA_ARGS ${arg_ARGUMENTS}
                       PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABEL}")
endfunction()
