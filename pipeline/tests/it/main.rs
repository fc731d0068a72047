//! What the pipeline does on a network.

#[cfg(test)]
mod llm;
