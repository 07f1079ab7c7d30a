# Three processes where there is MPI; where there is none, one, which says that it is skipped.
add_executable(test_ranks ranks/test_ranks.c)
target_link_libraries(test_ranks PRIVATE sphinx_ranks PkgConfig::CMOCKA)
set(launcher "")
if(MPI_C_FOUND)
  set(launcher ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} 3)
endif()
add_test(NAME ranks/ranks COMMAND ${launcher} $<TARGET_FILE:test_ranks> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(ranks/ranks PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 60 ENVIRONMENT
  "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_rmaps_base_oversubscribe=1;OMPI_MCA_plm_rsh_agent=sh;ASAN_OPTIONS=detect_leaks=0")
