# GoogleTest for the system that is built for: its library; or, where there is none, built here from its sources.
set(POLLUX_GOOGLETEST_SOURCES "" CACHE PATH
    "Sources of GoogleTest to build (Debian: /usr/src/googletest); without, its library is looked for")
find_package(Threads REQUIRED)
if(NOT POLLUX_GOOGLETEST_SOURCES)
  find_package(GTest REQUIRED)
elseif(NOT TARGET GTest::gtest)
  set(INSTALL_GTEST OFF CACHE BOOL "Of GoogleTest: nothing of it is installed with pollux")
  add_subdirectory(${POLLUX_GOOGLETEST_SOURCES} ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
endif()
