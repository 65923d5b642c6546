include(PolluxGoogleTest)
include(GoogleTest)

option(POLLUX_TESTS_ONE_BY_ONE
       "Each test of a GoogleTest program is a test of ctest, in a process of its own" ON)
# What only Linux has, so that its other half (POLLUX_PORTABLE_SYSTEM) cannot know: MPTCP, AF_VSOCK, eventfds,
# a poll() that refuses a single descriptor, and sets that tell Asio's backend what is new about urgent data.
set(POLLUX_LINUX_ONLY *ptcp*:*VirtualMachine*:AnEventfd*:*UnderALimitOfNoDescriptors.*
                      :Priority.ThatNobodyDealsWithDoesNotTurnTheLoop/asio*)
list(JOIN POLLUX_LINUX_ONLY "" POLLUX_LINUX_ONLY)
set(POLLUX_TEST_DEPTH 4 CACHE STRING "Of how many operations all histories are played")

# pollux_test(<name> SOURCES <file...> [LIBRARIES <target...>] [LABEL <label>] [TIMEOUT <seconds>]
#             [ARGUMENTS <argument...>])
# One GoogleTest program, see pollux_add_tests().
function(pollux_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LABEL;TIMEOUT" "SOURCES;LIBRARIES;ARGUMENTS")
  add_executable(${name} ${arg_SOURCES})
  pollux_target_defaults(${name})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} pollux_test_support GTest::gtest_main)
  pollux_add_tests(${name} LABEL "${arg_LABEL}" TIMEOUT "${arg_TIMEOUT}" ARGUMENTS ${arg_ARGUMENTS})
endfunction()

# pollux_add_tests(<program> [PREFIX <prefix>] [LABEL <label>] [TIMEOUT <seconds>]
#                  [ENVIRONMENT <variable=value>] [ARGUMENTS <argument...>])
# Each of its tests is a test of ctest by its own name, with the row it is run on at the end (`/poll`,
# `/epoll_tcp4`); or, where they are not run one by one, the whole program is. TIMEOUT is one test's.
function(pollux_add_tests program)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PREFIX;LABEL;TIMEOUT;ENVIRONMENT" "ARGUMENTS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 30)
  endif()
  set(properties COST ${arg_TIMEOUT})  # what may take long begins early
  if(arg_LABEL)
    list(APPEND properties LABELS ${arg_LABEL})
  endif()
  if(POLLUX_PORTABLE_SYSTEM)
    list(APPEND arg_ENVIRONMENT GTEST_FILTER=-${POLLUX_LINUX_ONLY})
  endif()
  if(arg_ENVIRONMENT)
    list(JOIN arg_ENVIRONMENT "\\;" environment)
    list(APPEND properties ENVIRONMENT "${environment}")
  endif()
  if(POLLUX_TESTS_ONE_BY_ONE)
    gtest_discover_tests(${program} NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60 TEST_PREFIX "${arg_PREFIX}"
                         EXTRA_ARGS ${arg_ARGUMENTS} PROPERTIES TIMEOUT ${arg_TIMEOUT} ${properties})
  else()
    add_test(NAME ${arg_PREFIX}${program} COMMAND ${program} ${arg_ARGUMENTS} --gtest_brief=1)
    math(EXPR timeout "10 * ${arg_TIMEOUT}")
    set_tests_properties(${arg_PREFIX}${program} PROPERTIES TIMEOUT ${timeout} ${properties})
  endif()
endfunction()
