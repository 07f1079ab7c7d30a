# The program as its users see it: tests/cli/test_*.sh run the built binary and compare standard output, standard error and
# exit code. Each gets the binary and json_value, a helper that reads one value out of a JSON file.
add_executable(json_value cli/json_value.c)
target_link_libraries(json_value PRIVATE sphinx_flags PkgConfig::JANSSON)

foreach(noun usage run demo chat tokenize inspect convert mix dump bench signals manual terminal caches guess grammar eval eval_grid eval_killed eval_ranks batch synth segment train train_killed train_ranks lora serve)
  add_test(NAME cli/${noun} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    COMMAND sh tests/cli/test_${noun}.sh $<TARGET_FILE:sphinx> $<TARGET_FILE:json_value>)
  set_tests_properties(cli/${noun} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
