#ifndef TALLY_H
#define TALLY_H

#ifdef __cplusplus
extern "C" {
#endif

/* Returns how many different words the text has, which are separated by white
   space. */
int tally_words(const char *text, int length);

#ifdef __cplusplus
}
#endif
#endif
