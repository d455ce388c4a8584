// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What a set-up does, in order. The raw value names the step in the database and in answers; never rename one.
enum SetupStep: String, Sendable, CaseIterable {
    /// Stores what the person says of themselves.
    case profile
    /// Tries the third-party keys with their services and stores them sealed.
    case apiKeys = "api_keys"
    /// Makes the tenant's schema, where it has one of its own.
    case schema
    /// Makes the tenant's vector collection.
    case vectorCollection = "vector_collection"
    /// Stores the configuration for later, and that the person is done.
    case settings

    static let names = allCases.map(\.rawValue)

    /// Whether a person may go on without it.
    var isOptional: Bool { self == .apiKeys }
}

/// How a step ended well.
enum SetupOutcome: Sendable {
    case completed(SetupDetail)
    /// There was nothing to do, or the person goes on without it.
    case skipped(SetupDetail)
}

/// Why a step cannot be completed for now, in words for the person who is set up.
struct SetupFailure: Error, Sendable {
    var message: String
    var detail: SetupDetail = [:]
}
