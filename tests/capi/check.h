/* What both test programs need: a check that says where it failed, and calls on text. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dmuc.h"

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);              \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

/* A call that must come to this result. */
#define EXPECT(expected, call)                                                                               \
	do {                                                                                                 \
		dmuc_result got_ = (call);                                                                   \
		if (got_ != (expected)) {                                                                    \
			fprintf(stderr, "%s:%d: %s gave %d (%s), not %s\n", __FILE__, __LINE__, #call,       \
				(int)got_, dmuc_result_text(got_), #expected);                               \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

#define OK(call) EXPECT(DMUC_RESULT_OK, call)

/* Whether two texts are the same; NULL is the same only as NULL. */
static inline bool same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static inline bool contains(const char *text, const char *part)
{
	return text != NULL && strstr(text, part) != NULL;
}

/* A copy that the caller frees. */
static inline char *copy(const char *text)
{
	size_t size = strlen(text) + 1;
	char *made = malloc(size);
	CHECK(made != NULL);
	memcpy(made, text, size);
	return made;
}

/* Hands in a stanza from a buffer that holds it and nothing else, as a socket does: who reads too far is caught by the
 * address sanitizer. */
static inline dmuc_result handle_stanza(dmuc_engine *engine, dmuc_now now, const char *xml, bool taken,
					dmuc_verdict **verdict)
{
	size_t length = strlen(xml);
	char *buffer = malloc(length > 0 ? length : 1);
	CHECK(buffer != NULL);
	memcpy(buffer, xml, length);
	dmuc_result result = dmuc_engine_handle_stanza(engine, now, buffer, length, taken, verdict);
	free(buffer);
	return result;
}

#endif
