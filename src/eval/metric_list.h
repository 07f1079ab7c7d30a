/* metric_list.h - the metrics by name, for metric.c's list. Each is described at the head of its file. */
#ifndef SPHINX_EVAL_METRIC_LIST_H
#define SPHINX_EVAL_METRIC_LIST_H

#include "eval/metric.h"

extern const struct metric metric_vqa;
extern const struct metric metric_exact, metric_relaxed, metric_anls, metric_math;
extern const struct metric metric_box;
extern const struct metric metric_mme, metric_pope;
extern const struct metric metric_choice, metric_mmmu;
extern const struct metric metric_detection, metric_pose;
extern const struct metric metric_class, metric_mention;
extern const struct metric metric_mmvet, metric_llava_bench, metric_saved;

#endif
