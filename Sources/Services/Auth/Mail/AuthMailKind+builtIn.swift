// SPDX-License-Identifier: Apache-2.0

extension AuthMailKind {
    /// Subject and HTML where the project has no template.
    package var builtIn: (subject: String, html: String) {
        switch self {
        case .invite:
            (
                "You have been invited",
                """
                <h2>You have been invited</h2>

                <p>You have been invited to create an account on {{ .SiteURL }}. Follow this link to accept:</p>
                <p><a href="{{ .ConfirmationURL }}">Accept the invitation</a></p>
                <p>Or enter the code: {{ .Token }}</p>

                """
            )
        case .confirmation:
            (
                "Confirm your email address",
                """
                <h2>Confirm your email address</h2>

                <p>Follow this link to confirm that {{ .Email }} is yours:</p>
                <p><a href="{{ .ConfirmationURL }}">Confirm your email address</a></p>
                <p>Or enter the code: {{ .Token }}</p>

                """
            )
        case .recovery:
            (
                "Reset your password",
                """
                <h2>Reset your password</h2>

                <p>Somebody, hopefully you, asked for a new password for your account. Follow this link to choose one:</p>
                <p><a href="{{ .ConfirmationURL }}">Reset your password</a></p>
                <p>Or enter the code: {{ .Token }}</p>
                <p>If it was not you, ignore this mail: nothing has changed.</p>

                """
            )
        case .magicLink:
            (
                "Your sign-in link",
                """
                <h2>Sign in</h2>

                <p>Follow this link to sign in:</p>
                <p><a href="{{ .ConfirmationURL }}">Sign in</a></p>
                <p>Or enter the code: {{ .Token }}</p>
                <p>If you did not ask for it, ignore this mail.</p>

                """
            )
        case .emailChange:
            (
                "Confirm your new email address",
                """
                <h2>Confirm your new email address</h2>

                <p>Follow this link to confirm the change of your email address{{ if .Email }} from {{ .Email }}{{ end }} to {{ .NewEmail }}:</p>
                <p><a href="{{ .ConfirmationURL }}">Change the email address</a></p>
                <p>Or enter the code: {{ .Token }}</p>

                """
            )
        case .reauthentication:
            (
                "Your confirmation code",
                """
                <h2>Confirm that it is you</h2>

                <p>Enter the code: {{ .Token }}</p>

                """
            )
        case .passwordChanged:
            notice("Your password was changed", "The password of your account {{ .Email }} was changed.")
        case .emailChanged:
            notice(
                "Your email address was changed",
                "The email address of your account was changed from {{ .OldEmail }} to {{ .Email }}.")
        case .phoneChanged:
            notice(
                "Your phone number was changed",
                "The phone number of your account {{ .Email }} was changed{{ if .OldPhone }} from {{ .OldPhone }}{{ end }} to {{ .Phone }}."
            )
        case .identityLinked:
            notice(
                "A sign-in method was added", "{{ .Provider }} can now be used to sign in to your account {{ .Email }}."
            )
        case .identityUnlinked:
            notice(
                "A sign-in method was removed",
                "{{ .Provider }} can no longer be used to sign in to your account {{ .Email }}.")
        case .factorEnrolled:
            notice(
                "A second factor was added",
                "A second factor ({{ .FactorType }}) was added to your account {{ .Email }}.")
        case .factorUnenrolled:
            notice(
                "A second factor was removed",
                "A second factor ({{ .FactorType }}) was removed from your account {{ .Email }}.")
        }
    }

    private func notice(_ title: String, _ sentence: String) -> (subject: String, html: String) {
        (
            title,
            """
            <h2>\(title)</h2>

            <p>\(sentence)</p>
            <p>If it was not you, contact support at once.</p>

            """
        )
    }
}
