// SPDX-License-Identifier: Apache-2.0
import Processes
import Testing

@testable import Platform

/// `docs/configuration.md` against the tables of keys.
@Suite struct ConfigurationPageTests {
    @Test func pageHoldsTheReference() throws {
        let root = #filePath.split(separator: "/").dropLast(4).reduce(into: "") { $0 += "/\($1)" }
        let page = try #require(FileSystem.read("\(root)/docs/configuration.md", maxBytes: 1 << 20))
        let parts = page.split(separator: "a test compares it. -->\n", maxSplits: 1)
        try #require(parts.count == 2)
        #expect(
            String(parts[1]) == ConfigurationReference.markdown,
            "docs/configuration.md is behind: put what `atoll reference configuration` prints below its last comment")
    }
}
