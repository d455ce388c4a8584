// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension SQLProbeRun {
    /// Objects of each bucket, in the folders that policies usually know their owners by.
    mutating func crossFiles(_ mine: ProbeTenant, _ other: ProbeTenant) async throws {
        guard let objects = catalog.relation("storage", "objects"),
            objects.isReachable
        else { return }
        for bucket in catalog.buckets {
            for folder in [other.userID.description, other.tenantID.description] {
                let path = "\(folder)/\(other.marker).txt"
                func insertion(_ path: String, _ owner: ProbeTenant) -> String {
                    """
                    insert into storage.objects (bucket_id, name, owner, owner_id) values (\(quoteLiteral(bucket.id)), \
                    \(quoteLiteral(path)), \(quoteLiteral(owner.userID.description)), \(quoteLiteral(owner.userID.description)))
                    """
                }
                let key = "bucket_id = \(quoteLiteral(bucket.id)) and name = \(quoteLiteral(path))"
                let object = "bucket \(bucket.id), \(folder == other.userID.description ? "user" : "tenant") folder"
                // As the foundation of the attempts, not one of them: it is undone with the savepoint of each.
                let planted = insertion(path, other)
                let statements: [(Crossing.Action, String)] = [
                    // Whoever knows its address reads a public file; the lints speak of listing.
                    (.read, bucket.isPublic ? "" : "select * from storage.objects where \(key)"),
                    (.update, "update storage.objects set user_metadata = '{}' where \(key)"),
                    (.insert, insertion("\(folder)/forged-\(other.marker).txt", mine)),
                    // A policy that looks for the caller's id anywhere in the name.
                    (.insert, insertion("\(folder)/\(mine.userID)/forged-\(other.marker).txt", mine)),
                ]
                for (action, statement) in statements where !statement.isEmpty {
                    for caller in [Crossing.Caller.member, .visitor] {
                        let outcome = try await attempt(
                            statement, as: caller == .member ? mine : nil, visitor: caller == .visitor, first: planted)
                        var result = Crossing.Outcome.held
                        switch outcome {
                        case .success(let answer): if max(answer.rowCount, answer.affectedRows) > 0 { result = .leaked }
                        case .failure(let error):
                            if let reason = Self.untriedReason(error) { result = .untried(reason) }
                        }
                        crossings.append(crossing("sql", object, action, caller, result, statement, mine))
                    }
                }
            }
        }
    }
}
