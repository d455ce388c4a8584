// SPDX-License-Identifier: Apache-2.0
import Auth
import Testing

@Suite struct RedirectAllowListTests {
    private static let list = RedirectAllowList(
        siteURL: "https://app.example.com",
        patterns: [
            "https://admin.example.com/callback", "https://*.preview.example.com/**", "https://**--team.example.app/**",
            "http://localhost:*/**", "com.example.app://**", "https://docs.example.com/*/done?",
            "https://[ab].letters.example.com/", "https://{x,y*}.choice.example.com/**", "http://192.168.1.5:3000/**",
            "https://other.example.com**", "https://UPPER.example.com/Path", "myapp:/signed-in", "http://[::1]:3000/**",
        ])

    /// What an attacker would like to be sent to.
    static let refused = [
        "", "/", "//evil.test", "app.example.com", "https://", "https:///app.example.com", "https:app.example.com",
        // Another origin.
        "https://evil.test/", "http://app.example.com/", "https://app.example.com:8443/",
        "https://app.example.com.evil.test/",
        "https://evil.test/app.example.com", "https://xapp.example.com/", "https://evil.test#https://app.example.com/",
        "https://evil.test?https://app.example.com/",
        // User information.
        "https://app.example.com@evil.test/", "https://app.example.com:pass@evil.test/",
        "https://user@app.example.com/",
        "https://a.preview.example.com@evil.test/",
        // What browsers repair.
        "https:\\\\app.example.com", "https:/\\app.example.com", "https://evil.test\\@app.example.com/",
        "https://evil.test\\.preview.example.com/", " https://app.example.com/", "https://app.example.com/\n",
        "https://app\t.example.com/", "https://app.example.com/a b", "https://ａpp.example.com/",
        "https://app。example.com/",
        "https://app%2eexample.com/", "https://app.example.com:443a/", "https://app.example.com:/",
        "https://app.example.com:99999/",
        // Schemes that run or read.
        "javascript:alert(1)", "JavaScript://app.example.com/%0aalert(1)", "data:text/html,hello", "vbscript:x",
        "file:///etc/passwd", "blob:https://app.example.com/1", "wss://app.example.com/", "com.evil.app://callback",
        "com.example.app.evil://callback",
        // Numbers for hosts.
        "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://127.1/", "http://0177.0.0.1/",
        "http://127.0.0.1/",
        "http://192.168.1.6:3000/x", "http://192.168.1.05:3000/x", "https://1.2.3.4/", "http://[::ffff:127.0.0.1]/",
        "http://[::2]:3000/", "http://[::1/",
        // Wildcards that would leave the part they stand in.
        "https://a.b.preview.example.com/", "https://evil.test/.preview.example.com/",
        "https://evil?.preview.example.com/",
        "https://evil.test/x--team.example.app/", "https://evil.test?--team.example.app/",
        "https://evil:1--team.example.app/",
        "http://localhost:3000.evil.test/", "http://localhost:@evil.test/", "https://docs.example.com/a/b/done1",
        "https://docs.example.com/a/done", "https://docs.example.com/a/done12", "https://docs.example.com/a/done/",
        "https://c.letters.example.com/", "https://z.choice.example.com/", "https://y.z.choice.example.com/",
        "https://admin.example.com/callback/", "https://admin.example.com/callback?next=1",
        "https://admin.example.com/",
        "https://upper.example.com/path", "myapp:/signed-out",
        "https://" + String(repeating: "a", count: 5000) + ".preview.example.com/",
    ]

    @Test(arguments: refused)
    func refuses(_ address: String) {
        #expect(!Self.list.allows(address))
        #expect(Self.list.target(address).text == "https://app.example.com")
    }

    static let allowed = [
        // The site itself, wherever on it.
        "https://app.example.com", "https://app.example.com/", "https://app.example.com:443/deep/path?a=b#c",
        "HTTPS://APP.example.com/", "https://app.example.com?x=1",
        "https://admin.example.com/callback", "https://admin.example.com/callback#part",
        "https://a.preview.example.com/", "https://a-b.preview.example.com/x/y.z?q=/..",
        "https://p-1--team.example.app/",
        "https://a.b--team.example.app/deep/er", "http://localhost:5173/", "http://localhost:80/x/y",
        "com.example.app://callback", "com.example.app://callback/x?y=z", "https://docs.example.com/a/done1",
        "https://a.letters.example.com/", "https://x.choice.example.com/", "https://yes.choice.example.com/a",
        "http://192.168.1.5:3000/any", "https://other.example.com", "https://other.example.com/a.b/c?d",
        "https://upper.example.com/Path", "https://Upper.Example.com/Path", "myapp:/signed-in", "http://[::1]:3000/x",
    ]

    @Test(arguments: allowed)
    func allows(_ address: String) {
        #expect(Self.list.allows(address))
        #expect(Self.list.target(address).address == address.prefix { $0 != "#" })
    }

    @Test func aSiteOnThisMachineIsAllowedOnAnyPort() {
        let list = RedirectAllowList(siteURL: "http://127.0.0.1:3000", patterns: [])
        #expect(list.allows("http://127.0.0.1:5173/x"))
        #expect(!list.allows("http://127.0.0.2:3000/"))
        #expect(!list.allows("https://127.0.0.1:3000/"))
        #expect(!list.allows("http://localhost:3000/"))
    }

    @Test func aPatternForEverythingIsTheOperatorsOwnDecision() {
        let list = RedirectAllowList(siteURL: "https://app.example.com", patterns: ["https://**"])
        #expect(list.allows("https://anything.test/at/all"))
        #expect(!list.allows("http://anything.test/"))
        #expect(!list.allows("https://10.0.0.1/"))
    }

    @Test(arguments: ["[", "{a", "{a,{b", "[z-a]", "\\", "**/**/**/**/**/**/x", "{{{{{{{{", "[!]"])
    func anOddPatternNeitherTrapsNorTakesLong(_ pattern: String) {
        let list = RedirectAllowList(siteURL: "https://app.example.com", patterns: ["https://e.test/" + pattern])
        #expect(!list.allows("https://e.test/" + String(repeating: "a/", count: 2000)))
    }

    @Test func theFirstAllowedCandidateIsTaken() {
        let list = Self.list
        #expect(
            list.target("https://evil.test/", "https://app.example.com/page").text == "https://app.example.com/page")
        #expect(list.target(nil, nil).text == "https://app.example.com")
    }

    @Test func writesWhatIsAddedIntoQueryAndFragment() {
        let target = Self.list.target("https://app.example.com/ü?a=b#old")
        #expect(target.text == "https://app.example.com/%C3%BC?a=b")
        #expect(target.adding(query: [("code", "x y&z")]).text == "https://app.example.com/%C3%BC?a=b&code=x+y%26z")
        let told = Self.list.site.adding(query: [("error", "e")], fragment: [("error", "é"), ("sb", "")])
        #expect(told.text == "https://app.example.com?error=e#error=%C3%A9&sb=")
    }
}
