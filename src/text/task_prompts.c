/* task_prompts.c - see task_prompts.h. */
#include "text/task_prompts.h"

const struct task_prompt task_prompts[TASK_PROMPTS] = {
    { "question", "General Question Answering", "What's in the image?" },
    { "caption_detailed", "Detailed Caption", "Generate a detailed description about the image." },
    { "caption_short", "Short Caption", "Provide a one-sentence caption for the provided image." },
    { "rec", "Referring Expression Comprehension (REC)",
      "Please provide the bounding box coordinate of the region this sentence describes: blue backpack." },
    { "relation", "Relationship Grounding",
      "Please provide the bounding box coordinate of the region this sentence describes : people on car." },
    { "caption_grounded", "Grounding Caption",
      "Describe the image concisely. Include the bounding box for each mentioned object." },
    { "detection", "Object Detection", "Detect all people shown in the image." },
    { "keypoints", "Human Keypoint Detection",
      "Detect the key points of the person in the region [x1, y1, x2, y2]." },
    { "text_detection", "Text Detection",
      "Please detect all texts and provide their bounding box coordinate." },
    { "chart", "Chart Parsing", "Convert this chart to a table." },
};
