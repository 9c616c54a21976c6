import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2023',
    // The page's policy has no `data:` for fonts and styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    // `npm run dev` beside a running binary; another address by LOGBOOM_URL.
    proxy: {
      '/api': { target: process.env.LOGBOOM_URL ?? 'http://127.0.0.1:7480', changeOrigin: true },
    },
  },
})
