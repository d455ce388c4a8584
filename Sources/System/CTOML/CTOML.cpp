// SPDX-License-Identifier: Apache-2.0
#include "CTOML.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <string>
#include <toml.hpp>
#include <vector>

struct ctoml_node {
    ctoml_kind kind = CTOML_TABLE;
    uint32_t line = 0;
    uint32_t column = 0;
    bool boolean = false;
    int64_t integer = 0;
    double number = 0;
    std::string text;
    std::vector<std::string> keys;
    std::vector<ctoml_node> children;
};

struct ctoml_document {
    ctoml_node root;
};

namespace {

void fail(ctoml_error *error, size_t line, size_t column, const std::string &message) noexcept {
    error->line = static_cast<uint32_t>(line);
    error->column = static_cast<uint32_t>(column);
    const size_t count = std::min(message.size(), sizeof error->message - 1);
    std::memcpy(error->message, message.data(), count);
    error->message[count] = 0;
}

// toml11 descends once for each bracket and each dot of a key, so both are bounded before it sees the document: a file of opening
// brackets must not exhaust the stack. Counting outside strings and comments is enough; what is malformed is refused later.
bool within_depth(const char *bytes, size_t count, size_t max_depth, ctoml_error *error) noexcept {
    enum { plain, comment, basic, literal, long_basic, long_literal } state = plain;
    size_t line = 1, line_start = 0, brackets = 0, dots = 0;
    const auto triple = [&](size_t i, char quote) {
        return i + 2 < count && bytes[i + 1] == quote && bytes[i + 2] == quote;
    };
    for (size_t i = 0; i < count; i++) {
        const unsigned char c = static_cast<unsigned char>(bytes[i]);
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
            fail(error, line, i - line_start + 1, "control characters are not allowed; write them as an escape");
            return false;
        }
        if (c == '\n') {
            line++;
            line_start = i + 1;
            if (state == comment || state == basic || state == literal) state = plain;
            if (state == plain) dots = 0;
            continue;
        }
        switch (state) {
        case comment:
            break;
        case basic:
        case long_basic:
            if (c == '\\') {
                // Not over a line end, which the count of lines must see.
                if (i + 1 < count && bytes[i + 1] != '\n') i++;
            } else if (c == '"') {
                if (state == basic) {
                    state = plain;
                } else if (triple(i, '"')) {
                    state = plain;
                    i += 2;
                }
            }
            break;
        case literal:
            if (c == '\'') state = plain;
            break;
        case long_literal:
            if (c == '\'' && triple(i, '\'')) {
                state = plain;
                i += 2;
            }
            break;
        case plain:
            if (c == '#') state = comment;
            else if (c == '"' || c == '\'') {
                const bool is_long = triple(i, static_cast<char>(c));
                state = c == '"' ? (is_long ? long_basic : basic) : (is_long ? long_literal : literal);
                if (is_long) i += 2;
            } else if (c == '[' || c == '{') brackets++;
            else if (c == ']' || c == '}') brackets -= brackets > 0 ? 1 : 0;
            else if (c == '.') dots++;
            else if (c == '=' || c == ',') dots = 0;
            if (brackets > max_depth || dots > max_depth) {
                fail(error, line, i - line_start + 1, "nested deeper than " + std::to_string(max_depth) + " levels");
                return false;
            }
            break;
        }
    }
    return true;
}

// toml11's own location often names the line alone; the place it underlines in its message is the exact one. A message is
// "[error] toml::function: reason", then excerpts of the document, each with a line of carets and a remark below.
void describe(const toml::exception &exception, ctoml_error *error) {
    std::istringstream report(exception.what());
    std::string line, reason, remark;
    size_t row = exception.location().line(), column = exception.location().column(), excerpt = 0;
    std::getline(report, reason);
    if (reason.rfind("[error] ", 0) == 0) reason.erase(0, 8);
    if (reason.rfind("toml::", 0) == 0) {
        const size_t colon = reason.find(": ", 6);
        if (colon != std::string::npos) reason.erase(0, colon + 2);
    }
    while (!reason.empty() && (reason.back() == ' ' || reason.back() == '.')) reason.pop_back();
    while (std::getline(report, line)) {
        const size_t bar = line.find(" | ");
        if (bar == std::string::npos) continue;
        const std::string number = line.substr(0, bar);
        if (number.find_first_not_of(' ') != std::string::npos) {
            excerpt = std::strtoul(number.c_str(), nullptr, 10);
            continue;
        }
        const size_t mark = line.find_first_not_of(' ', bar + 3);
        if (mark == std::string::npos || (line[mark] != '^' && line[mark] != '~') || excerpt == 0) continue;
        row = excerpt;
        column = mark - (bar + 3) + 1;
        const size_t words = line.find_first_not_of("^~- ", mark);
        remark = words == std::string::npos || line.compare(words, 4, "here") == 0 ? "" : line.substr(words);
    }
    if (reason.empty()) std::swap(reason, remark);
    if (!remark.empty()) reason += ": " + remark;
    fail(error, row, column, reason.empty() ? "not TOML" : reason);
}

template <typename Value> std::string written(const Value &value) {
    std::ostringstream text;
    text << value;
    return text.str();
}

// The starts of a document's lines. toml11's own `location()` counts lines from the top for every value and copies the line: 20 s for
// a document of half a megabyte.
class line_starts {
  public:
    explicit line_starts(const std::string &document) {
        starts.push_back(0);
        for (size_t i = 0; i < document.size(); i++)
            if (document[i] == '\n') starts.push_back(i + 1);
    }

    void place(const toml::value &value, ctoml_node &node) const {
        const auto *region = dynamic_cast<const toml::detail::region *>(toml::detail::get_region(value));
        if (region == nullptr) return;
        const auto offset = static_cast<size_t>(std::distance(region->begin(), region->first()));
        const auto next = std::upper_bound(starts.begin(), starts.end(), offset);
        node.line = static_cast<uint32_t>(next - starts.begin());
        node.column = static_cast<uint32_t>(offset - *(next - 1) + 1);
    }

  private:
    std::vector<size_t> starts;
};

ctoml_node convert(const toml::value &value, const line_starts &lines) {
    ctoml_node node;
    lines.place(value, node);
    switch (value.type()) {
    case toml::value_t::boolean:
        node.kind = CTOML_BOOLEAN;
        node.boolean = value.as_boolean();
        break;
    case toml::value_t::integer:
        node.kind = CTOML_INTEGER;
        node.integer = value.as_integer();
        break;
    case toml::value_t::floating:
        node.kind = CTOML_FLOAT;
        node.number = value.as_floating();
        break;
    case toml::value_t::string:
        node.kind = CTOML_STRING;
        node.text = value.as_string().str;
        break;
    case toml::value_t::offset_datetime:
        node.kind = CTOML_DATETIME;
        node.text = written(value.as_offset_datetime());
        break;
    case toml::value_t::local_datetime:
        node.kind = CTOML_DATETIME;
        node.text = written(value.as_local_datetime());
        break;
    case toml::value_t::local_date:
        node.kind = CTOML_DATETIME;
        node.text = written(value.as_local_date());
        break;
    case toml::value_t::local_time:
        node.kind = CTOML_DATETIME;
        node.text = written(value.as_local_time());
        break;
    case toml::value_t::array:
        node.kind = CTOML_ARRAY;
        for (const auto &element : value.as_array()) node.children.push_back(convert(element, lines));
        break;
    case toml::value_t::table:
    case toml::value_t::empty: {
        node.kind = CTOML_TABLE;
        if (!value.is_table()) break;
        // The library keeps a hash table; the places give back the order of the document.
        std::vector<std::pair<std::string, ctoml_node>> entries;
        for (const auto &entry : value.as_table()) entries.emplace_back(entry.first, convert(entry.second, lines));
        std::sort(entries.begin(), entries.end(), [](const auto &a, const auto &b) {
            if (a.second.line != b.second.line) return a.second.line < b.second.line;
            if (a.second.column != b.second.column) return a.second.column < b.second.column;
            return a.first < b.first;
        });
        for (auto &entry : entries) {
            node.keys.push_back(std::move(entry.first));
            node.children.push_back(std::move(entry.second));
        }
        break;
    }
    }
    return node;
}

} // namespace

ctoml_document *ctoml_parse(const char *bytes, size_t count, size_t max_bytes, size_t max_depth, ctoml_error *error) {
    if (count > max_bytes) {
        fail(error, 0, 0, "longer than " + std::to_string(max_bytes) + " bytes");
        return nullptr;
    }
    if (!within_depth(bytes, count, max_depth, error)) return nullptr;
    try {
        const std::string text(bytes, count);
        std::istringstream stream(text);
        auto document = std::make_unique<ctoml_document>();
        document->root = convert(toml::parse(stream, "document"), line_starts(text));
        return document.release();
    } catch (const toml::exception &exception) {
        try {
            describe(exception, error);
        } catch (...) {
            fail(error, exception.location().line(), exception.location().column(), "not TOML");
        }
    } catch (const std::exception &exception) {
        fail(error, 0, 0, exception.what());
    } catch (...) {
        fail(error, 0, 0, "not TOML");
    }
    return nullptr;
}

void ctoml_free(ctoml_document *document) { delete document; }

const ctoml_node *ctoml_root(const ctoml_document *document) { return &document->root; }
ctoml_kind ctoml_node_kind(const ctoml_node *node) { return node->kind; }
uint32_t ctoml_node_line(const ctoml_node *node) { return node->line; }
uint32_t ctoml_node_column(const ctoml_node *node) { return node->column; }
int ctoml_node_boolean(const ctoml_node *node) { return node->boolean; }
int64_t ctoml_node_integer(const ctoml_node *node) { return node->integer; }
double ctoml_node_float(const ctoml_node *node) { return node->number; }
ctoml_text ctoml_node_text(const ctoml_node *node) { return {node->text.data(), node->text.size()}; }
size_t ctoml_node_count(const ctoml_node *node) { return node->children.size(); }
const ctoml_node *ctoml_node_child(const ctoml_node *node, size_t index) {
    return index < node->children.size() ? &node->children[index] : nullptr;
}
ctoml_text ctoml_node_key(const ctoml_node *node, size_t index) {
    if (index >= node->keys.size()) return {"", 0};
    return {node->keys[index].data(), node->keys[index].size()};
}
