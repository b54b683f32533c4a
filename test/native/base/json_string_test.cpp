#include "base/json_string.h"

#include <gtest/gtest.h>

namespace verbex {
namespace {

TEST(JsonString, TextStaysAsItIsBetweenQuotes) {
    EXPECT_EQ(jsonString(""), "\"\"");
    EXPECT_EQ(jsonString("/var/lib/node 1"), "\"/var/lib/node 1\"");
    EXPECT_EQ(jsonString("Größe €"), "\"Größe €\"");
}

TEST(JsonString, WhatWouldEndTheStringIsEscaped) {
    EXPECT_EQ(jsonString("a\"b\\c"), R"("a\"b\\c")");
    EXPECT_EQ(jsonString("\\\""), R"("\\\"")");
}

TEST(JsonString, ControlCharactersAreEscapedAndNotLost) {
    EXPECT_EQ(jsonString("two\nlines\tand \x1f"), R"("two\u000alines\u0009and \u001f")");
    EXPECT_EQ(jsonString(std::string_view("\0", 1)), R"("\u0000")");
    EXPECT_EQ(jsonString("\x7f"), "\"\x7f\"");
}

}  // namespace
}  // namespace verbex
