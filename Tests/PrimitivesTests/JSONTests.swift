// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@Suite struct JSONTests {
    struct Refusal: Sendable, CustomTestStringConvertible {
        var text: String
        var reason: JSONError.Reason
        var offset: Int
        var testDescription: String { text.debugDescription }

        init(_ text: String, _ reason: JSONError.Reason, at offset: Int) {
            self.text = text
            self.reason = reason
            self.offset = offset
        }
    }

    @Test(arguments: [
        Refusal("", .unexpectedEnd, at: 0),
        Refusal("  ", .unexpectedEnd, at: 2),
        Refusal("{", .unexpectedEnd, at: 1),
        Refusal("[1,]", .unexpectedByte(UInt8(ascii: "]")), at: 3),
        Refusal("[1 2]", .unexpectedByte(UInt8(ascii: "2")), at: 3),
        Refusal("{\"a\":1,}", .unexpectedByte(UInt8(ascii: "}")), at: 7),
        Refusal("{a:1}", .unexpectedByte(UInt8(ascii: "a")), at: 1),
        Refusal("{\"a\" 1}", .unexpectedByte(UInt8(ascii: "1")), at: 5),
        Refusal("{'a':1}", .unexpectedByte(UInt8(ascii: "'")), at: 1),
        Refusal("1 1", .trailingBytes, at: 2),
        Refusal("nul", .unexpectedEnd, at: 3),
        Refusal("nulL", .unexpectedByte(UInt8(ascii: "L")), at: 3),
        Refusal("NaN", .unexpectedByte(UInt8(ascii: "N")), at: 0),
        Refusal("\u{feff}1", .unexpectedByte(0xef), at: 0),
        Refusal("01", .invalidNumber, at: 1),
        Refusal("-", .unexpectedEnd, at: 1),
        Refusal("+1", .unexpectedByte(UInt8(ascii: "+")), at: 0),
        Refusal("1.", .unexpectedEnd, at: 2),
        Refusal("1.e1", .invalidNumber, at: 2),
        Refusal("1e", .unexpectedEnd, at: 2),
        Refusal(".5", .unexpectedByte(UInt8(ascii: ".")), at: 0),
        Refusal("\"a", .unexpectedEnd, at: 2),
        Refusal("\"a\nb\"", .controlCharacterInString, at: 2),
        Refusal("\"\\t\u{1}\"", .controlCharacterInString, at: 3),
        Refusal("\"\\x\"", .invalidEscape, at: 1),
        Refusal("\"\\u12g4\"", .invalidEscape, at: 5),
        Refusal("\"\\ud800\"", .loneSurrogate, at: 1),
        Refusal("\"\\ud800\\u0041\"", .loneSurrogate, at: 1),
        Refusal("\"\\udc00\"", .loneSurrogate, at: 1),
        Refusal("/* */1", .unexpectedByte(UInt8(ascii: "/")), at: 0),
    ])
    func refusesWhatIsNotJSON(_ refusal: Refusal) {
        #expect(throws: JSONError(reason: refusal.reason, offset: refusal.offset)) {
            try JSON(parsing: refusal.text)
        }
    }

    @Test(
        arguments: [
            [0x22, 0x80, 0x22], [0x22, 0xc0, 0xaf, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22],
            [0x22, 0xf5, 0x80, 0x80, 0x80, 0x22],
        ] as [[UInt8]])
    func refusesInvalidUTF8(_ bytes: [UInt8]) {
        #expect(throws: JSONError(reason: .invalidUTF8, offset: 1)) { try JSON(parsing: bytes) }
    }

    @Test func boundsNesting() throws {
        let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        _ = try JSON(parsing: deepest)
        #expect(throws: JSONError(reason: .tooDeep(maxDepth: 64), offset: 64)) {
            try JSON(parsing: "[" + deepest + "]")
        }
        #expect(throws: JSONError(reason: .tooDeep(maxDepth: 1), offset: 5)) {
            try JSON(parsing: "{\"a\":{}}", maxDepth: 1)
        }
        // A megabyte of brackets must be refused, not overflow the stack.
        #expect(throws: JSONError.self) { try JSON(parsing: [UInt8](repeating: UInt8(ascii: "["), count: 1 << 20)) }
    }

    @Test func parsesEveryKindOfValue() throws {
        let text =
            #" { "a" : [ 1 , -0.5e+3 , true , false , null , "x\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00" ] , "" : {} } "#
        let expected: JSON = [
            "a": [.number("1"), .number("-0.5e+3"), true, false, nil, "x\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}"], "": [:],
        ]
        #expect(try JSON(parsing: text) == expected)
        #expect(try JSON(parsing: Array(text.utf8).lazy.map { $0 }) == expected)
    }

    @Test func keepsNumbersAsWritten() throws {
        let text = "[123456789012345678901234567890,1.10,1E5,-0]"
        #expect(try JSON(parsing: text).text == text)
    }

    @Test func readsNumbersThatFit() throws {
        #expect(try JSON(parsing: "3").intValue == 3)
        #expect(try JSON(parsing: "3.0").intValue == 3)
        #expect(try JSON(parsing: "3.5").intValue == nil)
        #expect(try JSON(parsing: "1e30").intValue == nil)
        #expect(try JSON(parsing: "1e400").doubleValue == nil)
        #expect(try JSON(parsing: "1e-2").doubleValue == 0.01)
        #expect(JSON(Double.nan) == .null)
    }

    @Test func lastDuplicateWinsAndOrderStays() throws {
        #expect(try JSON(parsing: #"{"b":1,"a":2,"b":3}"#).text == #"{"b":3,"a":2}"#)
    }

    @Test func namesAreComparedByBytes() throws {
        let members = try #require(try JSON(parsing: "{\"\u{e9}\":1,\"e\u{301}\":2}").objectValue)
        #expect(members.count == 2)
        #expect(members["\u{e9}"] == 1)
        #expect(members["e\u{301}"] == 2)
    }

    @Test func largeObjectsStayLinearAndCorrect() throws {
        var object = JSONObject()
        for number in 0..<20_000 { object["m\(number)"] = JSON(number) }
        object["m7"] = "again"
        object["m3"] = nil
        #expect(object.count == 19_999)
        #expect(object["m7"] == "again")
        #expect(object["m3"] == nil)
        #expect(object["m19999"] == 19_999)
        #expect(try JSON(parsing: JSON.object(object).encoded()) == .object(object))
    }

    @Test func objectsAreEqualInAnyOrder() {
        let first: JSON = ["a": 1, "b": [2]]
        let second: JSON = ["b": [2], "a": 1]
        #expect(first == second)
        #expect(first.hashValue == second.hashValue)
        #expect(first != ["a": 1, "b": [3]])
    }

    @Test func escapesOnlyWhatMustBe() {
        #expect(
            JSON.string("a\"\\\n\u{0}\u{1f}/\u{7f}\u{e9}\u{2028}").text
                == "\"a\\\"\\\\\\n\\u0000\\u001f/\u{7f}\u{e9}\u{2028}\"")
    }

    @Test func accessorsAnswerNilForOtherKinds() {
        let value: JSON = ["a": [1, "x"], "b": true]
        #expect(value["a"]?[1]?.stringValue == "x")
        #expect(value["a"]?[2] == nil)
        #expect(value["c"] == nil)
        #expect(value["b"]?.intValue == nil)
        #expect(value["b"]?.boolValue == true)
        #expect(value.arrayValue == nil)
    }
}
