// SPDX-License-Identifier: Apache-2.0

/// How people prove who they are, as far as the pages offer it: what the project's configuration lets Auth do.
package struct AccountMethods: Sendable {
    /// Second factors that can be added.
    package var authenticatorApps = false
    package var securityKeys = false
    /// Codes by text message: only where somebody sends them.
    package var phones = false
    /// Keys that sign in by themselves.
    package var passkeys = false
    /// Nil where no proof of a human is asked for.
    package var captcha: CaptchaWidget?

    package init() {}

    var hasFactors: Bool { authenticatorApps || securityKeys || phones }
}
