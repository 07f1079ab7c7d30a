# cmake -DGOLDEN=case -P begins_with_golden.cmake -- command...: runs the command, whose standard output must begin with the answer
# that tests/data/golden/texts.json has for the case, and whose standard error must be empty.
set(command "")
set(in_command FALSE)
foreach(i RANGE ${CMAKE_ARGC})
  if(in_command AND i LESS CMAKE_ARGC)
    list(APPEND command "${CMAKE_ARGV${i}}")
  elseif("${CMAKE_ARGV${i}}" STREQUAL "--")
    set(in_command TRUE)
  endif()
endforeach()

file(READ tests/data/golden/texts.json texts)
string(JSON want GET "${texts}" goldens ${GOLDEN} answers 0)
execute_process(COMMAND ${command} OUTPUT_VARIABLE got ERROR_VARIABLE errors RESULT_VARIABLE rc)
string(FIND "${got}" "${want}" position)
if(NOT rc STREQUAL "0" OR NOT errors STREQUAL "" OR NOT position EQUAL 0)
  message(FATAL_ERROR "exit ${rc}\nwant [${want}]...\ngot  [${got}]\nerrors [${errors}]")
endif()
