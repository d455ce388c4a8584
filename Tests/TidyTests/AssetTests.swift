// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The files that are built into the program.
@Suite struct AssetTests {
    private static let folder = "Sources/System/CAssets"
    private let table = Repository.File(path: "\(folder)/CAssets.c").text

    @Test func everyAssetIsEmbeddedOnceAndEveryEmbeddedOneExists() {
        let files = Repository.files.filter {
            $0.path.hasPrefix("\(Self.folder)/sql/") || $0.path.hasPrefix("\(Self.folder)/web/")
        }
        let embedded = table.matches(of: #/#embed "([^"]+)"/#).map { String($0.1) }
        #expect(!embedded.isEmpty)
        #expect(Set(embedded).count == embedded.count, "CAssets.c embeds a file twice")
        let names = files.map { String($0.path.dropFirst(Self.folder.count + 1)) }
        for name in names { #expect(embedded.contains(name), "\(name) is not in CAssets.c") }
        for name in embedded { #expect(names.contains(name), "CAssets.c embeds \(name), which does not exist") }
    }

    @Test func migrationsAreNamedByTimeAndWhatTheyDo() {
        let migrations = Repository.files.filter {
            $0.path.hasPrefix("\(Self.folder)/sql/") && $0.folder.hasSuffix("/migrations")
        }
        let name = #/^(\d{14})_[a-z]+(_[a-z0-9]+)+\.sql$/#
        var versions: [String: String] = [:]
        #expect(!migrations.isEmpty)
        for file in migrations {
            guard let match = file.name.wholeMatch(of: name) else {
                Issue.record("\(file) is not named YYYYMMDDHHMMSS_verb_object.sql")
                continue
            }
            let version = "\(file.folder)/\(match.1)"
            #expect(versions[version] == nil, "\(file) has the version of \(versions[version] ?? "")")
            versions[version] = file.name
        }
    }
}
