# What `make install` places below the prefix:
#   bin/sphinx                                        the program
#   include/sphinx.h, lib/libsphinx.{so,a}            the library
#   lib/pkgconfig/sphinx.pc                           its flags; --static for the archive
#   share/sphinx/models/                              the bundled model
#   share/man/man1/sphinx.1, share/bash-completion/   help
#   share/doc/sphinx/                                 licence, README, changes, the rest of docs/
install(TARGETS sphinx libsphinx_shared libsphinx_static)

# The archive leaves its libraries to the program that links it. They are named one by one rather than by Requires.private, which
# would make their development files necessary for users of the shared library too.
set(SPHINX_PC_LIBS "-ljpeg -lpng -lwebp -lgif -lcairo -ljansson -lz -lnettle -lsentencepiece -lstdc++")
foreach(library ${OpenMP_C_LIB_NAMES} m)
  string(APPEND SPHINX_PC_LIBS " -l${library}")
endforeach()
configure_file(cmake/sphinx.pc.in sphinx.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/sphinx.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/sphinx/models PATTERN README.md EXCLUDE)
install(FILES docs/sphinx.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES scripts/completion.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME sphinx)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md")
