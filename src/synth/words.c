/* words.c - see words.h. */
#include "synth/words.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char *const common[] = {
    "act",   "air",   "ant",    "apple", "arm",    "art",    "baby",   "back",   "bag",   "ball",  "band",
    "bank",  "bath",  "bean",   "bear",  "bed",    "bee",    "bell",   "best",   "big",   "bird",  "blue",
    "boat",  "body",  "bone",   "book",  "box",    "boy",    "bread",  "bridge", "brown", "bus",   "cake",
    "camp",  "car",   "card",   "case",  "cat",    "chair",  "chess",  "city",   "clock", "cloud", "club",
    "coat",  "code",  "coin",   "cook",  "corn",   "cow",    "cup",    "dance",  "dark",  "day",   "deer",
    "desk",  "dog",   "door",   "dream", "dress",  "drum",   "duck",   "ear",    "earth", "east",  "easy",
    "egg",   "eye",   "face",   "farm",  "fast",   "film",   "fire",   "fish",   "flag",  "fog",   "food",
    "foot",  "fork",  "fox",    "free",  "frog",   "fruit",  "game",   "gate",   "gift",  "girl",  "glass",
    "goat",  "gold",  "good",   "grape", "grass",  "green",  "hair",   "hand",   "happy", "hat",   "head",
    "heart", "hen",   "hill",   "home",  "honey",  "horse",  "hot",    "hour",   "house", "ice",   "idea",
    "inch",  "iron",  "jam",    "jar",   "jazz",   "job",    "joke",   "juice",  "jump",  "key",   "kind",
    "king",  "kite",  "knee",   "lake",  "lamp",   "land",   "leaf",   "lemon",  "life",  "light", "lion",
    "list",  "long",  "love",   "lunch", "map",    "mark",   "milk",   "mind",   "moon",  "mouse", "music",
    "nail",  "name",  "nest",   "news",  "night",  "north",  "nose",   "note",   "nut",   "ocean", "oil",
    "old",   "open",  "orange", "oven",  "owl",    "page",   "paint",  "paper",  "park",  "party", "pen",
    "piano", "pig",   "plan",   "plant", "play",   "pond",   "pool",   "queen",  "quick", "rain",  "red",
    "rice",  "ring",  "river",  "road",  "rock",   "roof",   "room",   "rose",   "salt",  "sand",  "school",
    "sea",   "seed",  "ship",   "shoe",  "shop",   "silver", "sky",    "snow",   "soap",  "song",  "soup",
    "south", "spoon", "spring", "star",  "stone",  "sugar",  "summer", "sun",    "table", "taxi",  "tea",
    "tiger", "time",  "tower",  "town",  "toy",    "train",  "tree",   "uncle",  "van",   "voice", "water",
    "week",  "west",  "wheel",  "wind",  "winter", "wolf",   "wood",   "world",  "yard",  "year",  "yellow",
    "young", "zebra", "zoo",
};

static const char *const titles[] = { "Sales",  "Rain", "Visits", "Votes", "Cost",  "Points",
                                      "Books",  "Cars", "Trees",  "Games", "Hours", "Guests",
                                      "Orders", "Snow", "Goals",  "Birds" };

/* Five of a kind in an order that people know; charts take neighbours. */
static const char *const labels[][5] = {
    { "Mon", "Tue", "Wed", "Thu", "Fri" },   { "Jan", "Feb", "Mar", "Apr", "May" },
    { "Aug", "Sep", "Oct", "Nov", "Dec" },   { "cat", "dog", "cow", "pig", "hen" },
    { "fig", "nut", "egg", "jam", "tea" },   { "A", "B", "C", "D", "E" },
    { "Ann", "Bob", "Joe", "Kim", "Tom" },   { "2020", "2021", "2022", "2023", "2024" },
    { "car", "bus", "bike", "van", "boat" },
};

const char *word_common(struct draws *d, size_t longest)
{
    for (;;) {
        const char *word = common[draw_below(d, COUNT(common))];

        if (strlen(word) <= longest) return word;
    }
}

/* Consonants and vowels in turn, without letters that look like others in some font. */
static void make_up(struct draws *d, size_t n, char *text)
{
    static const char consonants[] = "bdfghkmnprstvwz", vowels[] = "aeou";
    size_t odd = draw_below(d, 2);

    for (size_t i = 0; i < n; i++)
        text[i] = i % 2 == odd ? vowels[draw_below(d, 4)] : consonants[draw_below(d, sizeof consonants - 1)];
    text[n] = '\0';
}

static void set_case(struct draws *d, char *text)
{
    unsigned style = draw_below(d, 3);

    for (size_t i = 0; text[i] != '\0' && style > 0; i++) {
        if (i == 0 || style == 2) text[i] = (char)toupper((unsigned char)text[i]);
    }
}

void word_any(struct draws *d, size_t longest, char *text)
{
    static const double weight[] = { 0.6, 0.2, 0.2 };
    unsigned kind = draw_weighted(d, weight, 3);

    if (longest > 8) longest = 8;
    if (kind == 0) snprintf(text, 9, "%s", word_common(d, longest));
    if (kind == 1) make_up(d, 3 + draw_below(d, longest < 6 ? longest - 2 : 4), text);
    if (kind == 2) {
        unsigned digits = 2 + draw_below(d, 3), low = digits == 2 ? 10 : digits == 3 ? 100 : 1000;

        snprintf(text, 9, "%u", low + draw_below(d, 9 * (size_t)low));
    }
    set_case(d, text);
}

const char *word_title(struct draws *d)
{
    return titles[draw_below(d, COUNT(titles))];
}

void word_labels(struct draws *d, const char **label, size_t n)
{
    unsigned kind = draw_below(d, COUNT(labels)), first = draw_below(d, 5 - n + 1);

    for (size_t i = 0; i < n; i++) label[i] = labels[kind][first + i];
}
