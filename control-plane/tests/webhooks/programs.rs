//! The verifiers of the document, each run by its own language.

use std::{path::Path, process::Stdio};

use aws_lc_rs::hmac;
use standardwebhooks::Webhook;
use test_support::{Block, Document, Message};

/// What makes a program of a verifier: it reads `headers.json` and the file `body`, and prints whether they are good.
const DRIVERS: [(&str, &str, &str); 3] = [
    (
        "python",
        "python3",
        "\nimport json, sys\nprint(str(verify(sys.argv[1], json.load(open('headers.json')), open('body', 'rb').read())).lower())\n",
    ),
    (
        "js",
        "node",
        "\nconst fs = require('node:fs');\nconst headers = JSON.parse(fs.readFileSync('headers.json'));\n\
         console.log(String(verify(process.argv[2], headers, fs.readFileSync('body'))));\n",
    ),
    (
        "php",
        "php",
        "\n$headers = json_decode(file_get_contents('headers.json'), true);\n\
         echo verify($argv[1], $headers, file_get_contents('body')) ? 'true' : 'false';\n",
    ),
];

/// The verifiers of the document.
pub(crate) struct Verifiers {
    blocks: Vec<Block>,
    folder: tempfile::TempDir,
}

impl Verifiers {
    pub(crate) fn of(document: &Document) -> Self {
        let is_program = |block: &&Block| DRIVERS.iter().any(|(language, ..)| *language == block.language);
        let blocks: Vec<_> = document.blocks().iter().filter(is_program).cloned().collect();
        for (language, ..) in DRIVERS {
            assert!(blocks.iter().any(|block| block.language == language), "no verifier in {language}");
        }
        Self { blocks, folder: tempfile::tempdir().unwrap() }
    }

    /// Whether each of them takes the message; `cd` chooses those that look at the X-CD signature.
    pub(crate) async fn say(&self, secret: &str, message: &Message, cd: bool) -> Vec<bool> {
        let headers: serde_json::Map<_, _> =
            message.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
        let write = |name: &str, bytes: &[u8]| std::fs::write(self.folder.path().join(name), bytes).unwrap();
        write("headers.json", serde_json::Value::Object(headers).to_string().as_bytes());
        write("body", &message.body);
        let mut said = Vec::new();
        for block in self.blocks.iter().filter(|block| block.notes.iter().any(|note| note == "x-cd") == cd) {
            said.push(run(self.folder.path(), block, secret).await);
        }
        assert!(!said.is_empty());
        said
    }
}

async fn run(folder: &Path, block: &Block, secret: &str) -> bool {
    let (_, program, driver) = DRIVERS.iter().find(|(language, ..)| *language == block.language).unwrap();
    std::fs::write(folder.join("program"), format!("{}{driver}", block.text)).unwrap();
    let output = tokio::process::Command::new(program)
        .args(["program", secret])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program}: {error}; run `make tools`"));
    match String::from_utf8_lossy(&output.stdout).trim() {
        "true" => true,
        "false" => false,
        other => panic!("{}: {other}\n{}", block.place, String::from_utf8_lossy(&output.stderr)),
    }
}

/// The message as it would be, had it been signed at another time.
pub(crate) fn signed_at(message: &Message, secret: &str, timestamp: i64) -> Message {
    let mut message = message.clone();
    let standard = Webhook::new(secret).unwrap().sign(message.header("webhook-id"), timestamp, &message.body).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let cd = hmac::sign(&key, &[format!("{timestamp}.").as_bytes(), &message.body].concat());
    let cd: String = cd.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", standard),
        ("x-cd-timestamp", timestamp.to_string()),
        ("x-cd-signature", format!("sha256={cd}")),
    ];
    for (name, value) in headers {
        message.headers.insert(name, value.parse().unwrap());
    }
    message
}
