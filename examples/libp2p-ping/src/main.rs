//! The ping test of libp2p's interoperability matrix, in Rust: a listener and a dialer that are started in
//! any order and find each other through a Redis. It knows nothing of Reef.
//!
//! Everything is said in environment variables (see [`settings`]); what happens is told on stderr,
//! the result is one line of JSON on stdout. It ends with 0 only if the ping came back.

mod meeting;
mod settings;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use libp2p::core::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, ping, tcp, yamux};
use tokio::time::timeout;

use meeting::Meeting;
use settings::Settings;

/// How long other addresses of the listener are waited for, if it listens on all.
const ADDRESSES: Duration = Duration::from_millis(500);

#[derive(NetworkBehaviour)]
struct Behaviour {
    ping: ping::Behaviour,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_environment()?;
    let meeting = Meeting::connect(&settings.redis_addr)?;
    eprintln!("Connected to Redis at {}", settings.redis_addr);
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|_| Behaviour {
            ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_secs(1))),
        })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(settings.timeout))
        .build();
    if settings.is_dialer {
        dial(swarm, meeting, &settings).await
    } else {
        listen(swarm, meeting, &settings).await
    }
}

async fn listen(
    mut swarm: Swarm<Behaviour>,
    mut meeting: Meeting,
    settings: &Settings,
) -> Result<(), Box<dyn Error>> {
    eprintln!("Running as listener");
    swarm.listen_on(Multiaddr::from(settings.ip).with(Protocol::Tcp(0)))?;
    let address = own_address(&mut swarm).await?;
    let address = address.with(Protocol::P2p(*swarm.local_peer_id()));
    eprintln!("Publishing address to Redis: {address}");
    meeting.publish(&address.to_string())?;
    // Nobody says when the dialer is done, so it waits for as long as the test may take.
    eprintln!("Waiting for {} seconds...", settings.timeout.as_secs());
    let serve = async {
        loop {
            swarm.select_next_some().await;
        }
    };
    // That the time is over is how it ends.
    let _: Result<(), _> = timeout(settings.timeout, serve).await;
    Ok(())
}

/// An address of the listener that others can reach, if there is one.
async fn own_address(swarm: &mut Swarm<Behaviour>) -> Result<Multiaddr, Box<dyn Error>> {
    let mut best = None;
    let search = async {
        loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                let is_loopback = address.iter().any(
                    |part| matches!(part, Protocol::Ip4(ip) if ip.is_loopback()),
                );
                best = Some(address);
                if !is_loopback {
                    break;
                }
            }
        }
    };
    let _ = timeout(ADDRESSES, search).await;
    best.ok_or_else(|| "the listener has no address".into())
}

async fn dial(
    mut swarm: Swarm<Behaviour>,
    mut meeting: Meeting,
    settings: &Settings,
) -> Result<(), Box<dyn Error>> {
    eprintln!("Running as dialer");
    eprintln!("Waiting for listener address from Redis...");
    let Some(address) = meeting.wait(settings.timeout)? else {
        return Err("Timeout waiting for listener address".into());
    };
    eprintln!("Got listener address: {address}");
    let address: Multiaddr = address.parse()?;
    eprintln!("Connecting to {address}");
    let begun = Instant::now();
    swarm.dial(address)?;
    let rtt = timeout(settings.timeout, first_ping(&mut swarm)).await??;
    let whole = begun.elapsed();
    println!(
        "{{\"handshakePlusOneRTTMillis\": {:.2}, \"pingRTTMilllis\": {:.2}}}",
        whole.as_secs_f64() * 1_000.0,
        rtt.as_secs_f64() * 1_000.0
    );
    Ok(())
}

/// How long the first ping took.
async fn first_ping(swarm: &mut Swarm<Behaviour>) -> Result<Duration, Box<dyn Error>> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                eprintln!("Creating ping stream");
                eprintln!("sending ping to {peer_id}");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { peer, result, .. })) => {
                let rtt = result?;
                eprintln!("received pong from {peer}");
                return Ok(rtt);
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
}
