# Runs the examples: each must begin its answer with the reference's.
function(example_test name)
  add_test(NAME examples/${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    COMMAND ${CMAKE_COMMAND} -DGOLDEN=llama_ens -P tests/examples/begins_with_golden.cmake -- ${ARGN}
    tests/data/tiny/llama_ens tests/data/images/scene.png "What is in the image?")
endfunction()

example_test(ask_c $<TARGET_FILE:ask>)

# The one place where tests use Python, because the example is Python: skipped where there is none, and under sanitizers, whose
# runtime must be loaded before the interpreter.
find_program(PYTHON3 python3)
if(PYTHON3 AND NOT SPHINX_SANITIZE AND NOT SPHINX_FUZZ)
  example_test(ask_python ${PYTHON3} examples/ask.py)
  set_tests_properties(examples/ask_python PROPERTIES
    ENVIRONMENT "SPHINX_LIBRARY=$<TARGET_FILE:libsphinx_shared>;PYTHONDONTWRITEBYTECODE=1")

  add_executable(layout examples/layout.c)
  target_link_libraries(layout PRIVATE sphinx_flags)
  add_test(NAME examples/layout COMMAND ${PYTHON3} tests/examples/check_layout.py $<TARGET_FILE:layout>
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(examples/layout PROPERTIES ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
else()
  foreach(name ask_python layout)
    add_test(NAME examples/${name} COMMAND ${CMAKE_COMMAND} -E echo "needs python3 and a build without sanitizers")
    set_tests_properties(examples/${name} PROPERTIES SKIP_REGULAR_EXPRESSION "needs python3")
  endforeach()
endif()
