/* reader_list.h - the readers by name, for reader.c's list. Each is described at the head of its file. */
#ifndef SPHINX_EVAL_READER_LIST_H
#define SPHINX_EVAL_READER_LIST_H

#include "eval/record_list.h"

extern const struct reader reader_unified, reader_rows;
extern const struct reader reader_iconqa, reader_mmbench, reader_mme, reader_ocrvqa;
extern const struct reader reader_coco, reader_folders;

#endif
