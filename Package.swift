// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// The settings every Swift target shares; `docs/ARCHITECTURE.md` says why each is on.
let swiftSettings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
    // The compiler proves exclusive access to locals; for class properties it checks at run time, which cost 5 % of a small
    // request. Debug builds, and so all tests, keep the check.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
    // Small functions of the core are inlined into the services: 2 to 5 % of a read by id.
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

/// A Swift target of one layer: `Sources/<layer>/<name>`.
func library(_ layer: String, _ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/\(layer)/\(name)", swiftSettings: swiftSettings)
}

/// A wrapper over a C library from the system: a module map and a shim header, nothing else.
func system(_ name: String) -> Target {
    .systemLibrary(name: name, path: "Sources/System/\(name)")
}

/// The tests of one target: `Tests/<name>`.
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: swiftSettings)
}

/// Fuzzers are built by `scripts/fuzz` alone: they do not link without their sanitizer.
let fuzzers: [Target] =
    Context.environment["ATOLL_FUZZERS"] == nil
    ? []
    : [
        .executableTarget(
            name: "QueryFuzzer", dependencies: ["REST", "HTTP", "Postgres"], path: "Fuzz/QueryFuzzer",
            swiftSettings: swiftSettings)
    ]

let package = Package(
    name: "atoll",
    products: [.executable(name: "atoll", targets: ["atoll"])],
    targets: [
        // System: C libraries and embedded files.
        system("CPostgres"),
        system("COpenSSL"),
        system("CCurl"),
        system("CCrypt"),
        system("CArgon2"),
        system("CQRencode"),
        .target(name: "CLinux", path: "Sources/System/CLinux"),
        .target(
            name: "CTOML", path: "Sources/System/CTOML",
            cxxSettings: [.unsafeFlags(["-fexceptions"])],
            linkerSettings: [.linkedLibrary("stdc++")]),
        .target(name: "CImages", path: "Sources/System/CImages"),
        .target(name: "CAssets", path: "Sources/System/CAssets", exclude: ["sql", "web"]),

        // Core: knows nothing of the product.
        library("Core", "Primitives", ["CLinux"]),
        library("Core", "EventLoop", ["Primitives", "CLinux"]),
        library("Core", "Processes", ["EventLoop", "CLinux"]),
        library("Core", "Images", ["Primitives", "EventLoop", "Processes", "CImages"]),
        library("Core", "Cryptography", ["Primitives", "COpenSSL", "CCrypt", "CArgon2"]),
        library("Core", "HTTP", ["Primitives", "EventLoop", "CLinux", "COpenSSL"]),
        library("Core", "HTTPClient", ["Primitives", "EventLoop", "HTTP", "CCurl"]),
        library("Core", "Postgres", ["Primitives", "EventLoop", "CPostgres", "CLinux"]),

        // Platform: what every service shares.
        library(
            "Platform", "Platform",
            [
                "Primitives", "EventLoop", "Processes", "Cryptography", "HTTP", "HTTPClient", "Postgres", "CTOML",
                "CAssets",
                "CLinux",
            ]),
        library("Platform", "Jobs", ["Primitives", "EventLoop", "Postgres"]),
        library(
            "Platform", "Mail",
            ["Primitives", "EventLoop", "Cryptography", "HTTPClient", "Postgres", "Jobs"]),
        library("Platform", "EmbeddedPostgres", ["Primitives", "EventLoop", "Processes", "CLinux"]),

        // Services: never import each other.
        library(
            "Services", "Auth",
            [
                "Primitives", "EventLoop", "Cryptography", "HTTP", "HTTPClient", "Postgres", "Platform", "Mail",
                "CQRencode",
            ]),
        library("Services", "REST", ["Primitives", "EventLoop", "Cryptography", "HTTP", "Postgres", "Platform"]),
        library(
            "Services", "Storage",
            [
                "Primitives", "EventLoop", "Cryptography", "HTTP", "HTTPClient", "Images", "Postgres", "Platform",
                "Jobs",
                "CLinux",
            ]),
        library(
            "Services", "Vectors",
            [
                "Primitives", "EventLoop", "Cryptography", "HTTP", "HTTPClient", "Postgres", "Platform", "Jobs",
            ]),
        library("Services", "MailCatcher", ["Primitives", "EventLoop", "HTTP", "Mail", "CLinux"]),
        library(
            "Services", "Tenancy",
            [
                "Primitives", "EventLoop", "Cryptography", "HTTP", "HTTPClient", "Postgres", "Platform", "Jobs", "Mail",
            ]),

        // Product.
        library("Product", "Isolation", ["Primitives", "EventLoop", "Cryptography", "HTTP", "HTTPClient", "Postgres"]),
        library(
            "Product", "Console", ["Primitives", "Cryptography", "HTTP", "Postgres", "Platform", "Isolation"]),
        library(
            "Product", "Server",
            [
                "Primitives", "EventLoop", "Cryptography", "HTTP", "HTTPClient", "Images", "Processes", "Postgres",
                "Platform", "Jobs", "Mail", "EmbeddedPostgres", "Auth", "REST", "Storage", "Tenancy", "MailCatcher",
                "Vectors", "Isolation", "Console", "CLinux",
            ]),
        .executableTarget(
            name: "atoll",
            dependencies: [
                "Primitives", "EventLoop", "Cryptography", "HTTP", "Postgres", "Platform", "EmbeddedPostgres",
                "Processes", "REST", "Server", "Storage", "Tenancy", "Images", "Isolation", "Console", "HTTPClient",
                "CLinux",
            ],
            path: "Sources/Product/atoll", swiftSettings: swiftSettings),

        // Benchmarks: run by `make bench`, never asserted in a test.
        .executableTarget(
            name: "HelloServer", dependencies: ["EventLoop", "HTTP"], path: "Benchmarks/HelloServer",
            swiftSettings: swiftSettings),

        // Tests.
        tests("PrimitivesTests", ["Primitives"]),
        tests("EventLoopTests", ["EventLoop", "Primitives", "TestSupport", "CLinux"]),
        tests("ProcessesTests", ["Processes", "EventLoop", "CLinux"]),
        tests("CryptographyTests", ["Cryptography", "Primitives"]),
        tests("HTTPTests", ["HTTP", "EventLoop", "Primitives", "TestSupport", "CLinux", "COpenSSL"]),
        tests(
            "HTTPClientTests",
            ["HTTPClient", "HTTP", "EventLoop", "Primitives", "TestSupport"]),
        tests("MailCatcherTests", ["MailCatcher", "Mail", "Primitives"]),
        tests("MailTests", ["Mail", "Primitives"]),
        tests(
            "JobsTests",
            ["Jobs", "Postgres", "EventLoop", "Primitives", "PlatformTestSupport", "TestSupport"]),
        tests(
            "PostgresTests", ["Postgres", "EventLoop", "EmbeddedPostgres", "Processes", "Primitives", "TestSupport"]),
        tests(
            "PlatformTests",
            [
                "Platform", "Postgres", "EventLoop", "Processes", "Cryptography", "HTTP", "HTTPClient", "Primitives",
                "PlatformTestSupport", "TestSupport",
            ]),
        tests(
            "EmbeddedPostgresTests",
            ["EmbeddedPostgres", "EventLoop", "Processes", "Primitives", "TestSupport", "CLinux"]),
        tests(
            "AuthTests",
            [
                "Auth", "Platform", "HTTP", "HTTPClient", "Postgres", "Cryptography", "EventLoop", "Primitives", "Jobs",
                "Mail", "MailCatcher", "PlatformTestSupport", "TestSupport",
            ]),
        tests(
            "RESTTests",
            [
                "REST", "Platform", "HTTP", "Postgres", "EventLoop", "Cryptography", "Primitives",
                "TestSupport",
            ]),
        tests("BehaviourTests", ["Processes", "TestSupport", "Primitives"]),
        tests(
            "ConsoleTests", ["Console", "Isolation", "HTTP", "EventLoop", "Postgres", "Cryptography", "Primitives"]),
        tests(
            "TenancyTests",
            [
                "Tenancy", "Platform", "Jobs", "Mail", "HTTP", "HTTPClient", "Postgres", "EventLoop", "Cryptography",
                "Primitives",
                "PlatformTestSupport", "TestSupport",
            ]),
        tests(
            "IsolationTests",
            [
                "Isolation", "Postgres", "EventLoop", "Platform", "Processes", "Primitives", "PlatformTestSupport",
                "TestSupport",
            ]),
        tests(
            "VectorsTests",
            [
                "Vectors", "Platform", "HTTP", "HTTPClient", "Postgres", "EventLoop", "Cryptography", "Primitives",
                "PlatformTestSupport", "TestSupport",
            ]),
        tests(
            "StorageTests", ["Storage", "HTTP", "EventLoop", "Cryptography", "Primitives"]),
        tests("TidyTests", []),
        .target(
            name: "PlatformTestSupport",
            dependencies: ["Platform", "Postgres", "EventLoop", "Primitives", "TestSupport"],
            path: "Tests/PlatformTestSupport", swiftSettings: swiftSettings),
        .target(
            name: "TestSupport",
            dependencies: ["EmbeddedPostgres", "EventLoop", "Processes", "Primitives", "CLinux"],
            path: "Tests/TestSupport", swiftSettings: swiftSettings),
    ] + fuzzers,
    cLanguageStandard: .c2x,
    cxxLanguageStandard: .cxx17
)
