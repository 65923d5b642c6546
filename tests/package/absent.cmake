# `pollux backends` lists what is left, and not what was left out.
cmake_minimum_required(VERSION 3.24)

execute_process(COMMAND ${COMMAND} backends --format json OUTPUT_VARIABLE listed
                COMMAND_ERROR_IS_FATAL ANY)
string(JSON count LENGTH "${listed}" backends)
math(EXPR last "${count} - 1")
set(names "")
foreach(i RANGE ${last})
  string(JSON name GET "${listed}" backends ${i} name)
  list(APPEND names ${name})
endforeach()
message("Listed: ${names}")
if(ABSENT IN_LIST names OR NOT "poll" IN_LIST names)
  message(FATAL_ERROR "${ABSENT} was left out, and poll was not.")
endif()
