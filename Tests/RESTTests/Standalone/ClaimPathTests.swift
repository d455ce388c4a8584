// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import REST

@Suite struct ClaimPathTests {
    @Test(arguments: [
        "", "role", "role.other", ".", ".role##", ".my_role;;domain", ".#$$%&$%/", "1234", ".role[?(@ =)]", ".role[",
        ".role[-1]",
        ".role[x]", #"."open"#, #".a[?(@ == "x")].b"#, #".a[?(@ == "x")][?(@ == "y")]"#, ".a[1:].b", ".a[?(@ == x)]",
        "$", "$role",
    ])
    func refuses(_ text: String) {
        #expect(ClaimPath(text) == nil)
    }

    @Test(arguments: [
        (".role", #"{"role":"a"}"#, "a"), ("$.role", #"{"role":"a"}"#, "a"), (#"$["role"]"#, #"{"role":"a"}"#, "a"),
        ("$['a b'].c", #"{"a b":{"c":"a"}}"#, "a"), (".a.b[1]", #"{"a":{"b":["x","a"]}}"#, "a"),
        (".a", #"{"a":1}"#, "1"),
        (".a", #"{"a":{"b":true}}"#, #"{"b":true}"#), (".a", "{}", nil), (".a[3]", #"{"a":["x"]}"#, nil),
        (".a.b", #"{"a":"x"}"#, nil),
        (#".a[?(@ == "b")]"#, #"{"a":["x","b"]}"#, "b"), (#".a[?(@!="x")]"#, #"{"a":["x","b"]}"#, "b"),
        (#".a[?(@ ^== "b")]"#, #"{"a":["xb","bx"]}"#, "bx"), (#".a[?(@ ==^ "b")]"#, #"{"a":["bx","xb"]}"#, "xb"),
        (#".a[?(@ *== "b")]"#, #"{"a":["x","xbx"]}"#, "xbx"), (#".a[?(@ == 'b')]"#, #"{"a":[1,"b"]}"#, "b"),
        (#".a[?(@ == "b")]"#, #"{"a":["x",{}]}"#, nil), (".a[2:]", #"{"a":"xybc"}"#, "bc"),
        (".a[:-2]", #"{"a":"bcxy"}"#, "bc"),
        (".a[1:-1]", #"{"a":"xbcy"}"#, "bc"), (".a[:]", #"{"a":"bc"}"#, "bc"), (".a[200:]", #"{"a":"bc"}"#, ""),
        (#".a[?(@ *== "b")][1:]"#, #"{"a":["y","xb"]}"#, "b"),
        (#"."https://x/y"[0].z"#, #"{"https://x/y":[{"z":"a"}]}"#, "a"),
    ])
    func finds(_ path: String, _ claims: String, _ expected: String?) throws {
        let parsed = try #require(ClaimPath(path))
        let members = try #require(try JSON(parsing: claims).objectValue)
        #expect(parsed.value(in: members) == expected)
        // What is written for a path means the same.
        #expect(ClaimPath(parsed.description)?.value(in: members) == expected)
    }
}
