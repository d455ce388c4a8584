// SPDX-License-Identifier: Apache-2.0
internal import HTTP
package import Platform
internal import Primitives

extension VectorsService {
    /// Makes a collection of the principal's tenant with one unnamed vector, unless there is one of that name already.
    ///
    /// - Parameter distance: as Qdrant names it, such as `Cosine`.
    /// - Returns: why it is refused, fit for the client; nil when it is there.
    /// - Throws: what keeps the service from answering.
    package func ensureCollection(
        _ name: String, size: Int, distance: String, for principal: Principal
    ) async throws -> String? {
        do {
            let caller = try Caller(principal, maxAnswerBytes: configuration.maxAnswerBytes)
            try Self.checkName(name)
            let settings = try CollectionSettings(
                creating: ["vectors": ["size": JSON(size), "distance": .string(distance)]],
                maxVectors: configuration.maxVectorsPerCollection)
            try await insert(name, settings, caller)
            return nil
        } catch {
            let refusal = VectorsError(error)
            if refusal.code == .alreadyExists { return nil }
            guard refusal.code.status.code < 500 else { throw error }
            return refusal.message
        }
    }
}
