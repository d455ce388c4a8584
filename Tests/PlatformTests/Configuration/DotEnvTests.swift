// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Platform

@Suite struct DotEnvTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let text: String
        let variables: [String: String]
        var malformed: [Int] = []
    }

    static let cases = [
        Case(
            testDescription: "lines that are no assignment are named and skipped", text: "what\nA=1\n=2\nB C=3\n",
            variables: ["A": "1"], malformed: [1, 3, 4]),
        Case(
            testDescription: "a quote that is never closed costs its line alone", text: "A=\"open\nB=2",
            variables: ["B": "2"], malformed: [1]),
        Case(
            testDescription: "text after a closing quote is refused", text: "A='x' y\nB=2", variables: ["B": "2"],
            malformed: [1]),
        Case(
            testDescription: "plain values, blanks around them, and an empty one", text: "A=1\n  B =  two words \nC=\n",
            variables: ["A": "1", "B": "two words", "C": ""]),
        Case(
            testDescription: "export, comments, colons", text: "# note\nexport A=1 # why\nB: 2\nC=x#y\n",
            variables: ["A": "1", "B": "2", "C": "x#y"]),
        Case(
            testDescription: "single quotes keep everything", text: #"A='$B \n # x'"#, variables: ["A": #"$B \n # x"#]),
        Case(
            testDescription: "double quotes know escapes", text: #"A="a\nb\t\"c\" \\ \$D""#,
            variables: ["A": "a\nb\t\"c\" \\ $D"]),
        Case(
            testDescription: "quoted values run over lines", text: "A=\"one\ntwo\"\nB='x\ny'\n",
            variables: ["A": "one\ntwo", "B": "x\ny"]),
        Case(
            testDescription: "earlier variables are put in, then the environment's",
            text: "A=1\nB=${A}2$HOME_OF\nC=\"$A-${MISSING}\"\nD=5$\n",
            variables: ["A": "1", "B": "12here", "C": "1-", "D": "5$"]),
        Case(testDescription: "Windows line ends", text: "A=1\r\nB=\"2\"\r\n", variables: ["A": "1", "B": "2"]),
        Case(testDescription: "a byte order mark", text: "\u{FEFF}A=1", variables: ["A": "1"]),
    ]

    @Test(arguments: cases) func reads(_ testCase: Case) {
        let parsed = DotEnv(testCase.text) { $0 == "HOME_OF" ? "here" : nil }
        #expect(parsed.variables == testCase.variables)
        #expect(parsed.malformedLines == testCase.malformed)
    }
}
