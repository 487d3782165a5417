//! Somebody who reads instructions, types each command as it stands, and puts what the answers give into the
//! placeholders of later ones.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::Value;
use test_support::{Shell, client::http, wait};

use crate::harness::Dev;

/// What an answer gives: the end of the request's path, the field, and the placeholder.
const GIVES: [(&str, &str, &str); 3] =
    [("/v1/applications", "id", "<APP_ID>"), ("/keys", "secret", "<YOUR_KEY>"), ("/v1/connections", "id", "<ID>")];

pub(crate) struct Reader {
    shell: Shell,
    control: SocketAddr,
    known: BTreeMap<&'static str, String>,
}

impl Reader {
    pub(crate) async fn at(dev: &Dev) -> Self {
        Self { shell: dev.terminal().await, control: dev.host.at(8080), known: BTreeMap::new() }
    }

    /// Types a command; it must succeed. Answers what it prints.
    pub(crate) async fn types(&mut self, command: &str) -> String {
        let line = self.fill(command);
        let output = self.shell.run_text(command, &format!("{line}\n")).await;
        self.learn(command, &output);
        output
    }

    /// Types a command that may fail: everything that it prints, and its exit code.
    pub(crate) async fn tries(&mut self, command: &str) -> (i32, String) {
        let line = self.fill(command);
        let text = format!("code=0\n{{ {line}\n}} 2>&1 || code=$?\necho \"exit $code\"\n");
        let output = self.shell.run_text(command, &text).await;
        let (output, code) = output.trim_end().rsplit_once("exit ").unwrap();
        (code.parse().unwrap(), output.to_owned())
    }

    /// Asks for the connection until it is live.
    pub(crate) async fn sees_it_live(&self) -> Value {
        let url = format!("http://{}/v1/connections/{}", self.control, self.known["<ID>"]);
        let key = &self.known["<YOUR_KEY>"];
        wait::until(&format!("{url} is live"), async || {
            let answer = http::send_with_key("GET", &url, key, "").await.unwrap();
            let connection: Value = serde_json::from_slice(answer.body()).unwrap();
            (connection["state"] == "live").then_some(connection)
        })
        .await
    }

    fn fill(&self, command: &str) -> String {
        let line = self.known.iter().fold(command.to_owned(), |line, (place, value)| line.replace(place, value));
        assert!(!line.contains('<'), "nothing has said yet what to put into {line}");
        line
    }

    fn learn(&mut self, command: &str, output: &str) {
        let url = command.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_default();
        for (end, field, placeholder) in GIVES {
            if url.ends_with(end) && command.contains(" -d ") {
                let answer: Value = serde_json::from_str(output).unwrap_or_else(|_| panic!("{command}: {output}"));
                let value = answer[field].as_str().unwrap_or_else(|| panic!("{command}: {output}"));
                self.known.insert(placeholder, value.to_owned());
            }
        }
    }
}

/// The commands of a text, each in one piece; `begins` says which lines begin one.
pub(crate) fn commands(text: &str, begins: impl Fn(&str) -> bool) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continues = false;
    for line in text.lines() {
        match commands.last_mut().filter(|_| continues) {
            Some(command) => *command = format!("{command}\n{line}"),
            None if begins(line) => commands.push(line.to_owned()),
            None => continue,
        }
        continues = line.ends_with('\\');
    }
    commands
}
