/*
 * fonts.h - for tests that write letters: fontconfig keeps patterns for the life of the process, behind encoded pointers. LeakSanitizer
 * asks for this function by its name; the same for valgrind is in valgrind.supp.
 */
#ifndef TESTS_SUPPORT_FONTS_H
#define TESTS_SUPPORT_FONTS_H

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig";
}

#endif
