add_test(NAME tree/rules COMMAND ${CMAKE_SOURCE_DIR}/scripts/check-tree)
