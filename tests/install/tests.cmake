# Installs into a scratch root and builds the example against what lies there. Sanitizers' runtimes are no part of an installation,
# so such builds leave this out.
if(NOT SPHINX_SANITIZE AND NOT SPHINX_FUZZ)
  add_test(NAME install/use COMMAND ${CMAKE_SOURCE_DIR}/tests/install/test_install.sh
    ${CMAKE_BINARY_DIR} ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_LIBDIR} ${CMAKE_COMMAND} ${CMAKE_C_COMPILER}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endif()
