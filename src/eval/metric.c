/* metric.c - see metric.h. The list. */
#include "eval/metric.h"

#include "eval/metric_list.h"

#include <string.h>

static const struct metric *const metrics[] = {
    &metric_vqa,   &metric_exact,   &metric_relaxed, &metric_anls,        &metric_math,      &metric_box,
    &metric_mme,   &metric_pope,    &metric_choice,  &metric_mmmu,        &metric_detection, &metric_pose,
    &metric_class, &metric_mention, &metric_mmvet,   &metric_llava_bench, &metric_saved,
};

const struct metric *metric_at(size_t i)
{
    return i < sizeof metrics / sizeof *metrics ? metrics[i] : NULL;
}

const struct metric *metric_find(const char *name)
{
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (strcmp(metrics[i]->name, name) == 0) return metrics[i];
    return NULL;
}
