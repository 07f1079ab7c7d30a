/*
 * json_value FILE [KEY ...] - prints one value of a JSON file, compact: the one at the keys, which are names of objects' members or
 * indices of arrays. Fails if the file is not JSON or there is no such value.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    json_error_t error;
    json_t *root, *value;

    if (argc < 2) return 2;
    root = json_load_file(argv[1], JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        fprintf(stderr, "%s:%d: %s\n", argv[1], error.line, error.text);
        return 1;
    }
    value = root;
    for (int i = 2; i < argc && value != NULL; i++) {
        value = json_is_array(value) ? json_array_get(value, strtoul(argv[i], NULL, 10))
                                     : json_object_get(value, argv[i]);
    }
    if (value == NULL) {
        fprintf(stderr, "%s: there is no such value\n", argv[1]);
        json_decref(root);
        return 1;
    }
    if (json_is_string(value)) {
        puts(json_string_value(value));
    } else {
        json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
        putchar('\n');
    }
    json_decref(root);
    return 0;
}
