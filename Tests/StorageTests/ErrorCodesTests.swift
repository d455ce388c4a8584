// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import Testing

@testable import Storage

@Suite struct ErrorCodesTests {
    @Test func everyCodeThatIsAnsweredIsOnThePageOfErrors() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/errors.md"), encoding: .utf8)
        let section = page.split(separator: "\n## ").first { $0.hasPrefix("Storage\n") } ?? ""
        let codes = Set(section.matches(of: /`([A-Z]\w+)`/).map { String($0.output.1) })
        for code in StorageError.Code.allCases { #expect(codes.contains(code.rawValue), "\(code.rawValue)") }
    }

    /// What clients of Storage read: 400, and the true status as text.
    @Test(arguments: [
        (StorageError.Code.noSuchKey, 400, "404", "not_found"), (.noSuchBucket, 400, "404", "Bucket not found"),
        (.accessDenied, 400, "403", "Unauthorized"), (.keyAlreadyExists, 400, "409", "Duplicate"),
        (.resourceAlreadyExists, 400, "409", "Duplicate"), (.invalidMIMEType, 400, "415", "invalid_mime_type"),
        (.entityTooLarge, 400, "413", "Payload too large"), (.resourceLocked, 400, "423", "ResourceLocked"),
        (.slowDown, 429, "429", "SlowDown"), (.databaseTimeout, 544, "544", "DatabaseTimeout"),
        (.internalError, 500, "500", "InternalError"),
        (.transactionAborted, 500, "500", "DatabaseTransactionAborted"),
        (.lockTimeout, 400, "503", "acquiring_lock_timeout"), (.transactionError, 400, "409", "TransactionError"),
    ])
    func statusesAreThoseOfTheReference(
        _ code: StorageError.Code, _ status: Int, _ trueStatus: String, _ title: String
    ) {
        #expect(code.status.code == status)
        #expect(String(code.trueStatus.code) == trueStatus)
        #expect(code.title == title)
    }
}
