/*
 * task_prompts.h - what SPHINX is asked as a rule: the tasks of upstream's demo, each with the demo's example prompt.
 */
#ifndef SPHINX_TEXT_TASK_PROMPTS_H
#define SPHINX_TEXT_TASK_PROMPTS_H

enum { TASK_PROMPTS = 10 };

struct task_prompt {
    const char *name;   /* for programs */
    const char *title;  /* for people, as the demo has it, less its colon */
    const char *prompt; /* to the letter: models were trained with these words */
};

extern const struct task_prompt task_prompts[TASK_PROMPTS];

#endif
