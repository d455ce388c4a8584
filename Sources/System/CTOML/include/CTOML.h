// SPDX-License-Identifier: Apache-2.0
// A TOML 1.0 document as a tree of nodes, over toml11. No exception leaves these functions, and the tree is immutable: it may be
// read from any thread until it is freed.
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    CTOML_BOOLEAN,
    CTOML_INTEGER,
    CTOML_FLOAT,
    CTOML_STRING,
    CTOML_DATETIME, // its text, as TOML writes it
    CTOML_ARRAY,
    CTOML_TABLE,
} ctoml_kind;

typedef struct ctoml_document ctoml_document;
typedef struct ctoml_node ctoml_node;

// Bytes of a document; not terminated by NUL, valid as long as the document.
typedef struct {
    const char *bytes;
    size_t count;
} ctoml_text;

// Where and why a document was refused. Lines and columns count from 1; 0 where the document as a whole is meant.
typedef struct {
    uint32_t line;
    uint32_t column;
    char message[256];
} ctoml_error;

// Parses `count` bytes of UTF-8. Returns NULL and fills `error` for a document that is longer than `max_bytes`, nested deeper than
// `max_depth`, holds control characters, or is not TOML.
ctoml_document *ctoml_parse(const char *bytes, size_t count, size_t max_bytes, size_t max_depth, ctoml_error *error);
void ctoml_free(ctoml_document *document);

const ctoml_node *ctoml_root(const ctoml_document *document);
ctoml_kind ctoml_node_kind(const ctoml_node *node);
uint32_t ctoml_node_line(const ctoml_node *node);
uint32_t ctoml_node_column(const ctoml_node *node);
int ctoml_node_boolean(const ctoml_node *node);
int64_t ctoml_node_integer(const ctoml_node *node);
double ctoml_node_float(const ctoml_node *node);
// The text of a string or a date and time.
ctoml_text ctoml_node_text(const ctoml_node *node);
// The number of elements of an array or of keys of a table; 0 for other nodes.
size_t ctoml_node_count(const ctoml_node *node);
// An element of an array, or the value of a table's key, in the order of the document; NULL past the end.
const ctoml_node *ctoml_node_child(const ctoml_node *node, size_t index);
// The name of a table's key; empty past the end.
ctoml_text ctoml_node_key(const ctoml_node *node, size_t index);

#ifdef __cplusplus
}
#endif
