//! One whole run: who takes part, the rounds of each work, the works against Pebble, the start with a full store.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};

use crate::{
    bed::Bed,
    client::{Alpn, Client, Groups, Sessions, group_of},
    issuance,
    load::Effort,
    machine::Machine,
    origin,
    pki::Identity,
    progress::say,
    results::{Compared, Participant, Results},
    rounds::{Entrant, compare},
    server::{Kind, Server},
    start_up,
    work::Work,
};

/// What a run is given.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A smoke run: everything is done, nothing long enough to be believed.
    pub quick: bool,
    /// The core servers run on.
    pub server_core: usize,
    /// The edge's binary.
    pub edge: Option<PathBuf>,
    /// The Debian 13 folder.
    pub trixie: Option<PathBuf>,
    /// The folder for what takes long to make.
    pub cache: PathBuf,
    /// Only these parts; all when empty.
    pub only: Vec<Part>,
}

/// A part of a run that can be asked for alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Full handshakes, classic and hybrid.
    Full,
    /// Resumed handshakes.
    Resumed,
    /// HTTP/1.1 requests.
    Http1,
    /// HTTP/2 requests.
    Http2,
    /// Large answers.
    Download,
    /// Idle connections.
    Idle,
    /// First visits and bursts of new names.
    Issuance,
    /// The start with a full store.
    StartUp,
}

impl Settings {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn works(&self) -> impl Iterator<Item = Work> {
        Work::ALL.into_iter().filter(|work| self.wants(part_of(*work)))
    }
}

fn part_of(work: Work) -> Part {
    match work {
        Work::FullHandshake | Work::FullHandshakeHybrid => Part::Full,
        Work::ResumedHandshake => Part::Resumed,
        Work::Http1 => Part::Http1,
        Work::Http2 => Part::Http2,
        Work::Download => Part::Download,
        Work::Idle => Part::Idle,
    }
}

/// How much of everything.
struct Plan {
    effort: Effort,
    rounds: usize,
    rounds_of_fresh: usize,
}

impl Plan {
    fn of(quick: bool) -> Self {
        if quick {
            let effort =
                Effort { warm_up: Duration::from_millis(100), span: Duration::from_millis(300), idle_connections: 500 };
            return Self { effort, rounds: 3, rounds_of_fresh: 1 };
        }
        let effort =
            Effort { warm_up: Duration::from_millis(250), span: Duration::from_millis(1000), idle_connections: 2500 };
        Self { effort, rounds: 11, rounds_of_fresh: 3 }
    }

    fn rounds_of(&self, work: Work) -> usize {
        if work.needs_fresh_server() { self.rounds_of_fresh } else { self.rounds }
    }
}

/// Runs everything.
pub async fn run(settings: Settings) -> Result<Results> {
    let bed = Bed {
        server_core: settings.server_core,
        edge: settings.edge.clone(),
        trixie: settings.trixie.clone(),
        identity: Identity::generate()?,
        origin: origin::open().await?,
        cache: settings.cache.clone(),
    };
    let plan = Plan::of(settings.quick);
    // Before the first server is started, so that its load is that of others.
    let machine = Machine::look();
    let (works, servers) = compare_all(&settings, &bed, &plan).await;
    Ok(Results {
        quick: settings.quick,
        machine,
        servers,
        works,
        issuance: if settings.wants(Part::Issuance) {
            issuance::measure(&bed, settings.quick).await
        } else {
            Vec::new()
        },
        start_up: if settings.wants(Part::StartUp) {
            Some(start_up::measure(&bed, settings.quick).await)
        } else {
            None
        },
    })
}

async fn compare_all(settings: &Settings, bed: &Bed, plan: &Plan) -> (Vec<Compared>, Vec<Participant>) {
    let mut entrants = Vec::new();
    let mut participants = Vec::new();
    for kind in Kind::ALL {
        let entrant = enter(kind, bed).await;
        participants.push(introduce(&entrant, bed).await);
        entrants.push(entrant);
    }
    let mut compared = Vec::new();
    for work in settings.works() {
        let rounds = plan.rounds_of(work);
        say(&format!("{}: {rounds} rounds", work.title()));
        compared.push(compare(work, &entrants, bed, &plan.effort, rounds).await);
    }
    for server in entrants.into_iter().filter_map(|entrant| entrant.server.ok()) {
        server.stop().await;
    }
    (compared, participants)
}

async fn enter(kind: Kind, bed: &Bed) -> Entrant {
    let server = kind.start(bed).await.map_err(|error| format!("{error:#}"));
    if let Err(reason) = &server {
        say(&format!("\n*** {kind} will be missing from every table: {reason} ***\n"));
    }
    Entrant { kind, server }
}

async fn introduce(entrant: &Entrant, bed: &Bed) -> Participant {
    let group = match &entrant.server {
        Ok(server) => browser_group(server, bed).await.ok(),
        Err(_) => None,
    };
    Participant {
        name: entrant.kind.name(),
        version: entrant.kind.version(bed).ok(),
        browser_group: group,
        missing: entrant.server.as_ref().err().cloned(),
    }
}

/// What the server agrees on when it may choose as it may with a browser.
async fn browser_group(server: &Server, bed: &Bed) -> Result<String> {
    let client = Client::new(server.address, &bed.identity.root, Alpn::Http1, Groups::Browser, Sessions::Forgotten)?;
    let stream = client.connect().await?;
    let group = group_of(&stream).context("no key exchange")?;
    Ok(group.as_str().map_or_else(|| format!("{group:?}"), str::to_owned))
}
