// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Imports point down, and nothing is left over.
@Suite struct LayerTests {
    private let package = PackageTargets(packageText: Repository.File(path: "Package.swift").text)

    @Test func readsPackageSwift() {
        #expect(package.targets["Primitives"]?.layer == "Core")
        #expect(package.targets["CLinux"]?.layer == "System")
        #expect(package.targets["atoll"]?.layer == "Product")
        #expect(package.targets["TestSupport"]?.layer == "Tests")
        #expect(package.targets["EventLoop"]?.dependencies.contains("Primitives") == true)
    }

    @Test func targetsDependOnLayersBelowOrOnEarlierTargetsOfTheirOwn() {
        for target in package.targets.values {
            for name in target.dependencies {
                guard let dependency = package.targets[name] else {
                    Issue.record("\(target.name) depends on \(name), which Package.swift does not declare")
                    continue
                }
                #expect(
                    package.rank(name) <= package.rank(target.name), "\(target.name) imports \(name), a layer above")
                if dependency.layer == target.layer, target.layer != "Tests" {
                    #expect(dependency.order < target.order, "\(target.name) imports \(name), declared later")
                    #expect(target.layer != "Services", "the service \(target.name) imports the service \(name)")
                }
            }
        }
    }

    @Test func sourcesImportWhatTheirTargetDeclares() {
        let toolchain: Set = [
            "Dispatch", "Foundation", "Glibc", "PackageDescription", "Synchronization", "Testing", "Swift",
            "_Concurrency",
        ]
        let importLine =
            #/^(?:@[\w()]+ )*(?:public |package |internal |private )?import (?:struct |class |enum |func |protocol )?(\w+)/#
        for target in package.targets.values {
            for file in Repository.files(in: target.folder, extension: "swift") {
                for line in file.lines {
                    guard let name = line.text.firstMatch(of: importLine).map({ String($0.1) }) else { continue }
                    #expect(
                        toolchain.contains(name) || target.dependencies.contains(name),
                        "\(file):\(line.number) imports \(name), which Package.swift does not list for \(target.name)")
                }
            }
        }
    }

    @Test func everyFolderIsATargetAndEveryTargetIsUsed() {
        let used = Set(package.targets.values.flatMap(\.dependencies))
        for layer in PackageTargets.layers.prefix(while: { $0 != "Benchmarks" }) {
            for name in Repository.folders(in: "Sources/\(layer)") {
                #expect(package.targets[name]?.layer == layer, "Sources/\(layer)/\(name) is no target of Package.swift")
            }
        }
        for name in Repository.folders(in: "Tests") where name != "clients" {
            #expect(package.targets[name]?.layer == "Tests", "Tests/\(name) is no target of Package.swift")
        }
        for target in package.targets.values {
            #expect(Repository.exists(target.folder), "\(target.name) has no folder \(target.folder)")
            let isRoot =
                target.name == "atoll" || target.name.hasSuffix("Tests")
                || ["Benchmarks", "Fuzz"].contains(target.layer)
            #expect(isRoot || used.contains(target.name), "nothing uses the target \(target.name)")
        }
    }
}
