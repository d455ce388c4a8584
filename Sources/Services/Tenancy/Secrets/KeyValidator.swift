// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import EventLoop
internal import HTTP
package import HTTPClient
package import Primitives

/// Asks a service whether it takes a key, by a call that costs nothing there. Bounded in time; nothing of a key is logged.
package struct KeyValidator: Sendable {
    package enum Outcome: Sendable, Hashable {
        /// The service took the key.
        case valid
        /// The service refused the key.
        case invalid
        /// The service could not be asked, or said neither.
        case unknown(String)
        /// It is not known how to ask the service.
        case unsupported
    }

    /// Another key of the same tenant, for services whose keys go together.
    package typealias Companion = @Sendable (_ service: String) async throws -> SecretString?

    private let client: HTTPClient
    private let configuration: TenancyConfiguration.Validation

    package init(_ configuration: TenancyConfiguration.Validation, client: HTTPClient) {
        self.configuration = configuration
        self.client = client
    }

    /// Asks the service of that name.
    ///
    /// - Parameter companion: looks up keys that the service wants beside this one.
    /// - Throws: what `companion` throws.
    package func outcome(
        of key: SecretString, for service: String, companion: Companion
    ) async throws -> Outcome {
        guard configuration.isEnabled, let probe = KeyProbe(service: service) else { return .unsupported }
        var keys: [SecretString] = []
        for name in probe.keys {
            if name == service {
                keys.append(key)
            } else if let other = try await companion(name) {
                keys.append(other)
            } else {
                return .unknown("\(name) is needed beside it")
            }
        }
        let base = configuration.addresses[probe.family.rawValue] ?? probe.family.address
        guard let call = probe.call(base.hasSuffix("/") ? String(base.dropLast()) : base, keys.map { $0.reveal() })
        else { return .invalid }
        return await send(call, probe)
    }

    private func send(_ call: HTTPClientRequest, _ probe: KeyProbe) async -> Outcome {
        var call = call
        call.headers.set("User-Agent", "atoll")
        call.connectTimeout = min(configuration.timeout, .seconds(5))
        call.timeout = configuration.timeout
        call.maxResponseBytes = configuration.maxAnswerBytes
        let status: Int
        do {
            status = try await client.send(call).status.code
        } catch {
            // What such a service answers at length is an answer all the same, but not one of these calls.
            return .unknown("\(probe.family.rawValue) cannot be reached")
        }
        switch status {
        case 200..<300: return .valid
        case 401, 403: return .invalid
        case let code where probe.refusals.contains(code): return .invalid
        case let code where probe.acceptances.contains(code): return .valid
        default: return .unknown("\(probe.family.rawValue) answered \(status)")
        }
    }
}

extension KeyValidator.Outcome {
    /// As it is stored; nil for what is not.
    var stored: String? {
        switch self {
        case .valid: "valid"
        case .invalid: "invalid"
        case .unknown: "unknown"
        case .unsupported: nil
        }
    }

    /// Fit for the client.
    var message: String? {
        switch self {
        case .valid: nil
        case .invalid: "The service refuses the key"
        case .unknown(let reason): reason
        case .unsupported: "It is not known how to ask this service"
        }
    }
}
