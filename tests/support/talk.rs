//! What people say, by number: words that are packed about as well as real talk, and ciphertext, which hardly is.

use sha2::{Digest as _, Sha256};

const WORDS: &str = "the quick ship has been at sea for weeks and nobody here knows when we will see land again but cook says there is \
    enough rice for everybody if only somebody could repair our pump before Thursday because water keeps coming in through that old hatch \
    tell harbour office about it please they never answer their phone yes thanks see you later what time did captain want us on deck \
    tomorrow morning seven or eight I think engine number two runs hot maybe check oil first photos are in shared folder under November \
    weather looks better today wind north west five good night";

/// A random number of `number`, the `nth` of it.
fn random(number: usize, nth: usize) -> [u8; 32] {
    Sha256::digest(format!("{number} {nth}")).into()
}

/// About so many bytes of words.
pub fn words(number: usize, bytes: usize) -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut said = number.to_string();
    for nth in 0.. {
        if said.len() >= bytes {
            break;
        }
        let [first, second, ..] = random(number, nth);
        let place = usize::from(first) * 256 + usize::from(second);
        said.push(' ');
        said.push_str(words[place % words.len()]);
    }
    said
}

/// About so many bytes that look random.
pub fn ciphertext(number: usize, bytes: usize) -> String {
    let mut said = number.to_string();
    for nth in 0.. {
        if said.len() >= bytes {
            break;
        }
        said.push_str(&data_encoding::BASE64.encode(&random(number, nth)));
    }
    said
}
